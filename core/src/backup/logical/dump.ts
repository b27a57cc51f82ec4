import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata, PackedBytes } from '../../archive/metadata.js'
import { Tally } from '../../archive/tally.js'
import { ignoresCase } from '../../catalog/init-object.js'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { readDocuments } from '../../mongo/raw-read.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { none } from '../../plugin-host/none.js'
import { type NamespaceObject, planNamespaceObjects } from '../../store/layout/namespace-objects.js'
import type { DumpNamespace } from './namespaces.js'

export interface DumpOptions {
  readonly node: MongoClient
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly level?: number | undefined
  readonly backup: string
  readonly replset: string
  /** Namespaces at once. */
  readonly parallel: number
  /** Small ones at once, beside the others; none beside them where it is left out. */
  readonly parallelSmall?: number | undefined
  readonly signal: AbortSignal
  readonly log: OperationLog
  readonly onProgress: (documents: number, bytes: number) => void
  /** Names of objects tell nothing. */
  readonly hidden?: boolean | undefined
}

export interface DumpResult {
  readonly namespaces: NamespaceMetadata[]
  /** Of all objects. */
  readonly storedBytes: number
}

/** About so many bytes of documents: of such a collection, more time goes into waiting for server and storage than into work. */
const SMALL_BYTES = 256 * 1024
/** How often a collection is read again from its start, when it was renamed or overrun meanwhile. */
const ATTEMPTS = 5
const UNAUTHORIZED = 13

/**
 * Dumps namespaces, each into an object of its own, the largest first so that none is left over at the end. The first
 * failure stops the others and is thrown; nothing half-written stays on the storage.
 */
export async function dumpNamespaces(namespaces: readonly DumpNamespace[], options: DumpOptions): Promise<DumpResult> {
  const { log, hidden, parallelSmall } = options
  const planned = await planObjects(namespaces, options)
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const large = pLimit(Math.max(1, options.parallel))
  const small = parallelSmall === undefined ? large : pLimit(parallelSmall)
  const done: NamespaceMetadata[] = new Array(namespaces.length)
  let storedBytes = 0
  const bySize = namespaces.map((namespace, index) => ({ namespace, index }))
  bySize.sort((a, b) => b.namespace.bytes - a.namespace.bytes)
  const work = bySize.map(({ namespace, index }) =>
    (namespace.bytes > SMALL_BYTES ? large : small)(async () => {
      signal.throwIfAborted()
      const object = planned[index]
      const saved =
        object === undefined || namespace.source === undefined
          ? NOTHING
          : await dumpOne(namespace, object.object, { ...options, signal })
      storedBytes += saved.storedBytes
      const fallback = object?.fallback === true && saved.size > 0
      if (fallback && hidden !== true) {
        log.warning(
          `${namespace.db}.${namespace.collection} is stored as ${object.object}, for its name can't be one on this storage: PBM itself can't restore this backup`,
        )
      }
      done[index] = {
        ...definitionOf(namespace),
        crc: saved.crc,
        size: saved.size,
        ...(namespace.source !== undefined && { count: saved.count }),
        ...(saved.packed !== undefined && { packed: saved.packed }),
        ...(fallback && { object: object.object }),
      }
    }).catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  const results = await Promise.allSettled(work)
  options.signal.throwIfAborted()
  // The first to fail is the reason; the others only say that they were stopped.
  if (failed.signal.aborted) throw failed.signal.reason
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return { namespaces: done, storedBytes }
}

/** The storage is asked about case only where it matters: those that tell it apart keep PBM's names. */
async function planObjects(namespaces: readonly DumpNamespace[], options: DumpOptions): Promise<NamespaceObject[]> {
  const { backup, replset, compression, store, hidden, signal } = options
  const { maxSegmentBytes } = store.capabilities
  const given = { backup, replset, suffix: compression.suffix, namespaces, maxSegmentBytes, hidden }
  const plain = planNamespaceObjects(given)
  const folded = planNamespaceObjects({ ...given, ignoresCase: true })
  const isSame = folded.every(({ object }, index) => object === plain[index]?.object)
  return isSame || !(await ignoresCase(store, { signal })) ? plain : folded
}

/** What the list of namespaces says of a namespace, without what is only of the dump. */
export function definitionOf(namespace: DumpNamespace): Omit<NamespaceMetadata, 'crc' | 'size' | 'count' | 'packed'> {
  const { db, collection, collectionName, type, options, indexes, uuid, bucketsUuid, bucketsOnly } = namespace
  return { db, collection, collectionName, type, options, indexes, uuid, bucketsUuid, bucketsOnly }
}

interface Saved {
  readonly crc: bigint
  /** Bytes of BSON. */
  readonly size: number
  readonly count: number
  readonly storedBytes: number
  readonly packed?: PackedBytes
}
const NOTHING: Saved = { crc: 0n, size: 0, count: 0, storedBytes: 0 }

async function dumpOne(namespace: DumpNamespace, object: string, options: DumpOptions): Promise<Saved> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await saveOne(namespace, object, options)
    } catch (error) {
      options.signal.throwIfAborted()
      const code = error instanceof PbmError ? error.code : undefined
      const what = `${namespace.db}.${namespace.collection}`
      if (code === 'COLLECTION_MISSING') {
        // It stays in the list, without documents: the oplog may write to it once more before it drops it.
        options.log.info(`${what} was dropped while it was dumped`)
        return NOTHING
      }
      const again = code === 'COLLECTION_RENAMED' || code === 'CAPPED_OVERRUN' || code === 'CURSOR_LOST'
      if (!again || attempt >= ATTEMPTS) throw error
      options.log.warning(`${what} is read again from its start: ${errorText(error)}`)
    }
  }
}

async function saveOne(namespace: DumpNamespace, object: string, options: DumpOptions): Promise<Saved> {
  const { store, compression, level, signal } = options
  let read = 0
  const onProgress = (more: number, bytes: number) => {
    read += more
    options.onProgress(more, bytes)
  }
  const documents = readNamespace(namespace, { ...options, onProgress })
  try {
    const first = await documents.next()
    // An empty object would count as a missing one: there is none, and the list says size 0.
    if (first.done === true) return NOTHING
    const plain = new Tally()
    const tallied = async function* () {
      for (let next: IteratorResult<Buffer> = first; next.done !== true; next = await documents.next()) {
        plain.add(next.value)
        yield next.value
      }
    }
    const body = compression.compress(tallied(), level === undefined ? {} : { level })
    // Without a codec the object is the documents, whose checksum is there already.
    const packed = compression.name === none.name ? undefined : new Tally()
    const { size: storedBytes } = await store.save(object, packed?.through(body) ?? body, {
      signal,
      sizeHint: namespace.bytes,
    })
    const { size, crc } = plain
    const saved = { crc, size, count: read, storedBytes }
    return { ...saved, ...(packed !== undefined && { packed: { size: packed.size, crc: packed.crc } }) }
  } finally {
    await documents.return(undefined)
  }
}

/** All documents of a namespace as raw BSON, wherever a rename took it. */
export async function* readNamespace(
  namespace: DumpNamespace,
  options: Pick<DumpOptions, 'node' | 'signal' | 'onProgress'>,
): AsyncGenerator<Buffer> {
  const { source } = namespace
  if (source === undefined) return
  const read = { signal: options.signal, onBatch: options.onProgress, filter: source.filter }
  let begun = false
  try {
    for await (const batch of readDocuments(options.node, namespace.db, source.uuid ?? source.collection, read)) {
      begun = true
      yield batch
    }
  } catch (error) {
    // Reading by UUID is a privilege of its own, which a user made for mongodump may lack.
    if (begun || (error as { code?: unknown }).code !== UNAUTHORIZED) throw error
    yield* readDocuments(options.node, namespace.db, source.collection, read)
  }
}
