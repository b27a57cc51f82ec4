import { posix } from 'node:path'
import pLimit from 'p-limit'
import { createCrc64 } from '../archive/crc64.js'
import { demultiplex } from '../archive/demultiplex.js'
import { type NamespaceMetadata, readMetadataJson } from '../archive/metadata.js'
import { type Archive, type ArchiveNamespace, readArchive } from '../archive/reader.js'
import { wholeDocuments } from '../bson/documents.js'
import type { BackupDocument, BackupReplset } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import { optime } from '../oplog/entry.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { namespaceFile, parseOplogChunkName } from '../store/names.js'
import { isLegacyArchive, isLegacyBackupOplog } from '../store/pbm-version.js'
import { readText } from '../store/read-text.js'
import { noteBufferMade } from '../young-buffers.js'

/** Documents of one namespace: plain BSON, chunked anyhow. Must be drained unless it fails. */
export type Consume = (namespace: NamespaceMetadata, documents: AsyncIterable<Buffer>) => Promise<void>

export interface ReadNamespacesOptions extends CallOptions {
  /** Objects read at once. An archive decides itself: it has its namespaces interleaved. */
  readonly width: number
  /** Those left out are not opened. */
  readonly select?: (namespace: NamespaceMetadata) => boolean
}

/** A stored piece of oplog. Bounds are inclusive. */
export interface OplogPiece {
  readonly object: string
  readonly start: bigint
  readonly end: bigint
  readonly compression: CompressionPlugin
  /** Of what is in it, as `pbmPITRChunks` has it; absent where nobody knows it. */
  readonly crc?: string | undefined
}

/** What a backup holds of one replica set, whatever its layout (PBM: storage-format.md §1). */
export interface Snapshot {
  /** What wrote it: PBM's version, or ours with its name. */
  readonly toolVersion: string
  readonly namespaces: readonly NamespaceMetadata[]
  /** In order of their start. */
  readonly oplog: readonly OplogPiece[]
  /**
   * Streams the documents of each namespace that has any; checksum and size are verified as they flow, and the stream
   * throws `BACKUP_DAMAGED` or `BACKUP_OBJECT_MISSING` with the object's name.
   */
  readNamespaces(consume: Consume, options: ReadNamespacesOptions): Promise<void>
}

/**
 * Finds out what the backup holds of `replset` and where. Throws `BACKUP_OBJECT_MISSING`, `METADATA_INVALID` or
 * `ARCHIVE_…` when its lists can't be read.
 */
export async function openSnapshot(
  store: ObjectStore,
  backup: BackupDocument,
  replset: BackupReplset,
  compression: CompressionPlugin,
  options: CallOptions = {},
): Promise<Snapshot> {
  const dump = replset.dump_name ?? ''
  if (dump === '') throw missing(`The metadata of backup ${backup.name} names no dump of ${replset.name}`)
  const oplog = await oplogPieces(store, backup, replset, compression, options)
  return isLegacyArchive(backup.pbm_version)
    ? openArchive({ store, object: dump, compression, oplog }, options)
    : openFolder({ store, list: dump, compression, oplog }, options)
}

/** Raw bytes of a stored object, decompressed. Faults of the object name it. */
export async function* readObject(
  store: ObjectStore,
  object: string,
  compression: CompressionPlugin,
  options: CallOptions & { readonly onBytes?: (stored: number) => void } = {},
): AsyncGenerator<Uint8Array> {
  const { onBytes, ...call } = options
  try {
    const stored = await store.read(object, call)
    for await (const bytes of compression.decompress(onBytes === undefined ? stored : counted(stored, onBytes))) {
      noteBufferMade(bytes.length)
      yield bytes
    }
  } catch (error) {
    throw objectError(error, object)
  }
}

async function* counted<Chunk extends Uint8Array>(
  source: AsyncIterable<Chunk>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Chunk> {
  for await (const chunk of source) {
    onBytes(chunk.length)
    yield chunk
  }
}

async function openFolder(
  source: { store: ObjectStore; list: string; compression: CompressionPlugin; oplog: OplogPiece[] },
  options: CallOptions,
): Promise<Snapshot> {
  const { store, list, compression, oplog } = source
  const text = await readText(store, list, options).catch((error: unknown) => {
    throw objectError(error, list)
  })
  const { namespaces, toolVersion } = metadataOf(text, list)
  const folder = posix.dirname(list)
  const objectOf = (namespace: NamespaceMetadata) =>
    namespace.object ??
    // PBM does not escape names; a path is cleaned on its way to the storage.
    posix.join(folder, `${namespaceFile(namespace.db, namespace.collection)}${compression.suffix}`)
  return {
    toolVersion,
    namespaces,
    oplog,
    readNamespaces: async (consume, { width, select = () => true, ...call }) => {
      const limit = pLimit(Math.max(1, width))
      // The largest first, so that it does not run alone at the end.
      const stored = namespaces.filter(({ size }) => size > 0).filter(select)
      stored.sort((a, b) => b.size - a.size)
      await allOrFirstError(
        stored.map((namespace) =>
          limit(async () => {
            call.signal?.throwIfAborted()
            const object = objectOf(namespace)
            await consume(namespace, checked(readObject(store, object, compression, call), namespace, object))
          }),
        ),
        () => limit.clearQueue(),
      )
    },
  }
}

async function openArchive(
  source: { store: ObjectStore; object: string; compression: CompressionPlugin; oplog: OplogPiece[] },
  options: CallOptions,
): Promise<Snapshot> {
  const { store, object, compression, oplog } = source
  const open = async (call: CallOptions): Promise<Archive> => {
    try {
      return await readArchive(readObject(store, object, compression, call))
    } catch (error) {
      throw objectError(error, object)
    }
  }
  const head = await open(options)
  await head.events.return(undefined)
  const described = new Map(
    head.namespaces.filter(({ db }) => db !== '').map((found) => [key(found), asMetadata(found)]),
  )
  return {
    toolVersion: head.header.toolVersion,
    namespaces: [...described.values()],
    oplog,
    readNamespaces: async (consume, { select = () => true, width: _width, ...call }) => {
      const archive = await open(call)
      try {
        await demultiplex(archive, async (found, documents) => {
          const namespace = described.get(key(found))
          // The oplog may be embedded too, for mongorestore; it is read from its own object.
          if (namespace === undefined || !select(namespace)) await drain(documents)
          else await consume(namespace, documents)
        })
      } catch (error) {
        throw objectError(error, object)
      }
    },
  }
}

/** The pieces of the oplog, oldest first: stock PBM may have stored several. */
async function oplogPieces(
  store: ObjectStore,
  backup: BackupDocument,
  replset: BackupReplset,
  compression: CompressionPlugin,
  options: CallOptions,
): Promise<OplogPiece[]> {
  const name = replset.oplog_name ?? ''
  if (name === '') throw missing(`The metadata of backup ${backup.name} names no oplog of ${replset.name}`)
  if (isLegacyBackupOplog(backup.pbm_version)) {
    await store.stat(name, options).catch((error: unknown) => {
      throw objectError(error, name)
    })
    const { first_write_ts: start, last_write_ts: end } = replset
    return [{ object: name, start: optime(start), end: optime(end), compression }]
  }
  const pieces: OplogPiece[] = []
  for await (const { name: object, size } of store.list({ prefix: `${name}/`, ...options })) {
    const parsed = parseOplogChunkName(object)
    if (parsed === undefined) continue
    if (size === 0) throw damaged(`${object} is empty`)
    pieces.push({ object, start: optime(parsed.start), end: optime(parsed.end), compression })
  }
  if (pieces.length === 0) throw missing(`${name}/ holds no oplog`)
  return pieces.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.end < b.end ? -1 : 1))
}

/** Passes documents through, whole ones together, and compares what flowed with what the list of namespaces says. */
async function* checked(
  source: AsyncIterable<Uint8Array>,
  namespace: NamespaceMetadata,
  object: string,
): AsyncGenerator<Buffer> {
  const crc = createCrc64()
  let bytes = 0
  try {
    for await (const documents of wholeDocuments(source)) {
      crc.update(documents)
      bytes += documents.length
      yield documents
    }
  } catch (error) {
    throw objectError(error, object)
  }
  if (bytes !== namespace.size) throw damaged(`${object} has ${bytes} bytes of documents instead of ${namespace.size}`)
  if (crc.digest() !== namespace.crc) throw damaged(`${object} is altered: its checksum is not that of the backup`)
}

/** Waits for all, and rejects with what went wrong first. `stop` keeps those not begun from beginning. */
export async function allOrFirstError(running: readonly Promise<void>[], stop: () => void): Promise<void> {
  const failures: unknown[] = []
  let waiting: (() => void) | undefined
  const failed = new Promise<void>((resolve) => {
    waiting = resolve
  })
  const settled = Promise.all(
    running.map((task) =>
      task.catch((error: unknown) => {
        failures.push(error)
        stop()
        waiting?.()
      }),
    ),
  )
  // Tasks taken out of the queue never settle, so the first failure ends the wait.
  await Promise.race([settled, failed])
  if (failures.length > 0) throw failures[0]
}

export function damaged(message: string, cause?: unknown): PbmError {
  return new PbmError('BACKUP_DAMAGED', message, {
    hint: 'The backup can not be restored as it is; restore another one.',
    ...(cause === undefined ? {} : { cause }),
  })
}

function missing(message: string, cause?: unknown): PbmError {
  return new PbmError('BACKUP_OBJECT_MISSING', message, {
    hint: 'The backup is incomplete; restore another one, or bring the object back.',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** The fault of an object in the words of a backup; faults of the storage itself stay as they are. */
export function objectError(error: unknown, object: string): unknown {
  if (hasCode(error, 'STORAGE_NOT_FOUND')) return missing(`${object} is missing on the storage`, error)
  if (hasCode(error, 'STORAGE_EMPTY')) return damaged(`${object} is empty`, error)
  if (hasCode(error, 'ENCRYPTION_TAMPERED'))
    return damaged(`${object} is altered, and no longer what was sealed`, error)
  if (hasCode(error, 'CODEC_TRUNCATED')) return damaged(`${object} is cut off`, error)
  if (hasCode(error, 'CODEC_CORRUPT')) return damaged(`${object} is altered`, error)
  if (error instanceof PbmError && /^(BSON|ARCHIVE)_/.test(error.code)) return damaged(`${object} is damaged`, error)
  return error
}

function metadataOf(text: string, object: string) {
  try {
    return readMetadataJson(text)
  } catch (error) {
    throw damaged(`${object} is not a list of namespaces`, error)
  }
}

function asMetadata(found: ArchiveNamespace): NamespaceMetadata {
  return { ...found, crc: 0n, size: 0 }
}

function key({ db, collection }: { db: string; collection: string }): string {
  return `${db}\0${collection}`
}

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}
