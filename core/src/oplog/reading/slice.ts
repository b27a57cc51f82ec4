import type { MongoClient, Timestamp } from 'mongodb'
import { Tally } from '../../archive/tally.js'
import { lastDocument } from '../../bson/documents.js'
import type { BackupOplogObject } from '../../control/backup-document.js'
import { PbmError } from '../../errors.js'
import { readDocuments } from '../../mongo/raw-read.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { oplogChunkName } from '../../store/layout/names.js'
import { parseEntry, toTimestamp } from '../entry.js'
import { withoutControlEntries } from './control-entries.js'
import { lastReadableWrite, requireOplogSince, requireWholeRange } from './window.js'

export interface OplogSlicerOptions {
  readonly node: MongoClient
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly level?: number | undefined
  readonly backup: string
  readonly replset: string
  /** Inclusive. */
  readonly start: Timestamp
  readonly signal: AbortSignal
  readonly onProgress?: ((documents: number, bytes: number) => void) | undefined
  /** Several pieces stay several: sealed ones can't be joined, and may not even be read by who wrote them. */
  readonly keepPieces?: boolean | undefined
}

/**
 * The oplog entries from `start` to `end`, raw; both inclusive, or without `start` itself; of control collections they
 * tell nothing. A range query: it never waits
 * for an entry beyond the end. Throws `OPLOG_ROLLED_OVER` when entries of the range are gone, and `OPLOG_INCOMPLETE` behind
 * the last one when the server did not give all of them.
 */
export async function* readOplog(
  node: MongoClient,
  range: { start: Timestamp; end: Timestamp; startExcluded?: boolean },
  options: { signal: AbortSignal; onProgress?: ((documents: number, bytes: number) => void) | undefined },
): AsyncGenerator<Buffer> {
  await requireOplogSince(node, range.start)
  const from = range.startExcluded === true ? { $gt: range.start } : { $gte: range.start }
  let last: Timestamp | undefined
  try {
    const batches = readDocuments(node, 'local', 'oplog.rs', {
      signal: options.signal,
      filter: { ts: { ...from, $lte: range.end } },
      hint: { $natural: 1 },
      onBatch: options.onProgress,
    })
    for await (const batch of batches) {
      // Whoever gets the batch may do with it what he likes.
      last = toTimestamp(parseEntry(lastDocument(batch)).ts)
      yield withoutControlEntries(batch)
    }
  } catch (error) {
    // Which of the two it was makes no difference to what can be done about it.
    if (error instanceof PbmError && error.code === 'CAPPED_OVERRUN') await requireOplogSince(node, range.start)
    throw error
  }
  await requireOplogSince(node, range.start)
  await requireWholeRange(node, last, range)
}

/**
 * Saves the oplog of a backup: in pieces while the dump runs, so that the server may forget it, and as one object in the
 * end, since PBM replays several in any order. The pieces are joined by their stored bytes: every method of compression
 * reads concatenated streams.
 */
export class OplogSlicer {
  readonly #options: OplogSlicerOptions
  #stored: BackupOplogObject[] = []
  /** Of the last piece, or of all of them, where they are to be joined. */
  #tally = new Tally()
  #bytes = 0
  #last: Timestamp
  #storedBytes = 0

  constructor(options: OplogSlicerOptions) {
    this.#options = options
    this.#last = options.start
  }

  /** Of all entries, uncompressed. */
  get bytes(): number {
    return this.#bytes
  }

  /** What is on the storage now. */
  get stored(): BackupOplogObject[] {
    return [...this.#stored]
  }

  /** Saves what has been written since the last piece and can be read. */
  async slice(): Promise<void> {
    await this.#piece(await lastReadableWrite(this.#options.node))
  }

  /** Saves the rest up to `end`, and makes one object of all. */
  async finish(end: Timestamp): Promise<void> {
    await this.#piece(end)
    const { store, backup, replset, start, compression, signal, keepPieces } = this.#options
    if (keepPieces === true) return
    const name = oplogChunkName(backup, replset, start, end, compression.suffix)
    const pieces = this.#stored
    if (pieces.length === 1 && pieces[0]?.name === name) return
    async function* joined() {
      for (const piece of pieces) yield* await store.read(piece.name, { signal })
    }
    const packed = new Tally()
    await store.save(name, packed.through(joined()), { signal, sizeHint: this.#storedBytes })
    for (const piece of pieces) if (piece.name !== name) await store.delete(piece.name, { signal })
    this.#stored = [{ name, crc: this.#tally.crcText(), storedCrc: packed.crcText() }]
  }

  async #piece(end: Timestamp): Promise<void> {
    const { node, store, compression, level, backup, replset, start, signal, onProgress, keepPieces } = this.#options
    const first = this.#stored.length === 0
    if (!first && !end.greaterThan(this.#last)) return
    const range = { start: this.#last, end, startExcluded: !first }
    const entries = readOplog(node, range, { signal, onProgress })
    const head = await entries.next()
    try {
      if (head.done === true) {
        if (first) throw new PbmError('OPLOG_EMPTY', 'the oplog has no entry at the time the backup begins')
        return
      }
      if (keepPieces === true) this.#tally = new Tally()
      const tally = this.#tally
      const before = tally.size
      const tallied = async function* () {
        for (let next: IteratorResult<Buffer> = head; next.done !== true; next = await entries.next()) {
          tally.add(next.value)
          yield next.value
        }
      }
      // The first piece of several must not have the name of the whole: it would be overwritten while it is read.
      const name = oplogChunkName(backup, replset, first ? start : this.#last, end, compression.suffix)
      const body = compression.compress(tallied(), level === undefined ? {} : { level })
      const packed = new Tally()
      const saved = await store.save(name, packed.through(body), { signal })
      this.#stored.push({ name, crc: tally.crcText(), storedCrc: packed.crcText() })
      this.#bytes += tally.size - before
      this.#storedBytes += saved.size
      this.#last = end
    } finally {
      await entries.return(undefined)
    }
  }
}
