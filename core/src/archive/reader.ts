import { documentLength } from '../bson/documents.js'
import { PbmError } from '../errors.js'
import { BUCKETS_PREFIX } from '../mongo/time-series.js'
import { ByteWindow } from './byte-window.js'
import { type Crc64, createCrc64 } from './crc64.js'
import {
  ARCHIVE_MAGIC,
  type ArchiveHeader,
  readBlockHeader,
  readHeader,
  readPreludeEntry,
  TERMINATOR,
} from './format.js'
import { type CollectionDefinition, readDefinition } from './metadata.js'

/** A namespace as the head of the archive lists it. */
export interface ArchiveNamespace extends CollectionDefinition {
  readonly db: string
  readonly collection: string
}

/** One step of an archive's body. Namespaces interleave; each has any number of `documents` and then one `end`. */
export type ArchiveEvent =
  | { readonly kind: 'documents'; readonly namespace: ArchiveNamespace; readonly documents: Buffer }
  | { readonly kind: 'end'; readonly namespace: ArchiveNamespace; readonly crc: bigint; readonly bytes: number }

export interface Archive {
  readonly header: ArchiveHeader
  readonly namespaces: readonly ArchiveNamespace[]
  /** To be iterated once, to the end, where completeness is checked. Breaking off closes the source. */
  readonly events: AsyncGenerator<ArchiveEvent>
}

/**
 * Reads a mongodump archive (uncompressed stream) as it flows: documents come as views of the chunks. Every checksum is
 * verified, and everything that mongorestore refuses is refused (PBM: archive-and-oplog.md §1.4): `ARCHIVE_CORRUPT`,
 * `ARCHIVE_TRUNCATED` or `ARCHIVE_CRC`, with the place.
 */
export async function readArchive(source: AsyncIterable<Uint8Array>): Promise<Archive> {
  const window = new ByteWindow(source)
  try {
    if (!(await window.need(4)) || window.buffer.readUInt32LE(window.at) !== ARCHIVE_MAGIC) {
      throw new PbmError('ARCHIVE_CORRUPT', 'This is not a mongodump archive: it does not begin with its magic number')
    }
    window.at += 4
    const head = await nextElement(window)
    if (head === undefined) throw corrupt(window, 'the header is missing')
    const header = readHeader(head)
    const namespaces: ArchiveNamespace[] = []
    let listed = 0
    for (;;) {
      const element = await nextElement(window)
      if (element === undefined) break
      const { db, collection, metadata, type } = readPreludeEntry(element)
      listed += element.length
      if (listed > MAX_LISTED_BYTES)
        throw corrupt(window, `its list of namespaces has more than ${MAX_LISTED_BYTES} bytes`)
      namespaces.push({ db, collection, ...readDefinition(metadata, collection, type) })
    }
    return { header, namespaces, events: readBody(window, namespaces) }
  } catch (error) {
    await window.close()
    throw error
  }
}

/** The list is held in memory. */
const MAX_LISTED_BYTES = 256 * 1024 * 1024

interface OpenNamespace {
  readonly namespace: ArchiveNamespace
  readonly crc: Crc64
  bytes: number
  ended: boolean
}

async function* readBody(window: ByteWindow, namespaces: readonly ArchiveNamespace[]): AsyncGenerator<ArchiveEvent> {
  const listed = new Map(namespaces.map((namespace) => [key(namespace.db, namespace.collection), namespace]))
  const open = new Map<ArchiveNamespace, OpenNamespace>()
  try {
    while (await window.need(1)) {
      const head = await nextElement(window)
      if (head === undefined) throw corrupt(window, 'a block without a header')
      const { db, collection, eof, crc } = readBlockHeader(head)
      const namespace = findListed(listed, db, collection)
      if (namespace === undefined)
        throw corrupt(window, `${db}.${collection} is not in the archive's list of namespaces`)
      let state = open.get(namespace)
      if (state?.ended === true) throw corrupt(window, `${db}.${collection} goes on after its end`)
      if (state === undefined) {
        state = { namespace, crc: createCrc64(), bytes: 0, ended: false }
        open.set(namespace, state)
      }
      for await (const documents of blockDocuments(window)) {
        if (eof) throw corrupt(window, `the end of ${db}.${collection} has documents`)
        state.crc.update(documents)
        state.bytes += documents.length
        yield { kind: 'documents', namespace, documents }
      }
      if (!eof) continue
      state.ended = true
      if (state.crc.digest() !== crc) {
        throw new PbmError(
          'ARCHIVE_CRC',
          `The documents of ${db}.${collection} in the archive are damaged: their checksum is ${hex(state.crc.digest())}, the archive says ${hex(crc)}`,
        )
      }
      yield { kind: 'end', namespace, crc, bytes: state.bytes }
    }
    const unfinished = namespaces.find((namespace) => open.get(namespace)?.ended !== true)
    if (unfinished !== undefined) {
      throw new PbmError(
        'ARCHIVE_TRUNCATED',
        `The archive ends at byte ${window.position} before ${unfinished.db}.${unfinished.collection} is complete`,
      )
    }
  } finally {
    await window.close()
  }
}

/** The bucket collection of a time series is listed under the name its user gave. */
function findListed(listed: Map<string, ArchiveNamespace>, db: string, collection: string) {
  const exact = listed.get(key(db, collection))
  if (exact !== undefined || !collection.startsWith(BUCKETS_PREFIX)) return exact
  return listed.get(key(db, collection.slice(BUCKETS_PREFIX.length)))
}

/** Runs of whole documents up to the terminator, as long as the chunks allow. */
async function* blockDocuments(window: ByteWindow): AsyncGenerator<Buffer> {
  for (;;) {
    const start = window.at
    let wanted = 4
    let ended = false
    while (window.available >= 4) {
      if (window.buffer.readUInt32LE(window.at) === TERMINATOR) {
        ended = true
        break
      }
      const length = documentLength(window.buffer, window.at, window.position - window.at)
      if (length < 0) {
        wanted = window.buffer.readInt32LE(window.at)
        break
      }
      window.at += length
    }
    if (window.at > start) yield window.buffer.subarray(start, window.at)
    if (ended) {
      window.at += 4
      return
    }
    if (!(await window.need(wanted))) throw truncated(window)
  }
}

/** The next document as a view, or undefined for a terminator. */
async function nextElement(window: ByteWindow): Promise<Buffer | undefined> {
  if (!(await window.need(4))) throw truncated(window)
  if (window.buffer.readUInt32LE(window.at) === TERMINATOR) {
    window.at += 4
    return undefined
  }
  let length = documentLength(window.buffer, window.at, window.position - window.at)
  if (length < 0) {
    length = window.buffer.readInt32LE(window.at)
    if (!(await window.need(length))) throw truncated(window)
    documentLength(window.buffer, window.at, window.position - window.at)
  }
  const element = window.buffer.subarray(window.at, window.at + length)
  window.at += length
  return element
}

function key(db: string, collection: string): string {
  return `${db}\0${collection}`
}

function hex(crc: bigint): string {
  return BigInt.asUintN(64, crc).toString(16).padStart(16, '0')
}

function corrupt(window: ByteWindow, why: string): PbmError {
  return new PbmError('ARCHIVE_CORRUPT', `The archive is damaged before byte ${window.position}: ${why}`)
}

function truncated(window: ByteWindow): PbmError {
  return new PbmError('ARCHIVE_TRUNCATED', `The archive ends in the middle of an element, at byte ${window.position}`)
}
