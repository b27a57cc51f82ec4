import { classify } from '../oplog/classify.js'
import { type Operation, type OplogEntry, optimeText, readEntries } from '../oplog/entry.js'
import { innerOperations } from '../oplog/transactions.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { damaged, type OplogPiece, objectError, readObject, type Snapshot } from './snapshot.js'

export interface VerifyOptions extends CallOptions {
  readonly width: number
  /** All pieces that will be replayed, in order of their start. */
  readonly oplog: readonly OplogPiece[]
  readonly onProgress?: (bytes: number) => void
  /** What the oplog must cover, inclusive. */
  readonly start: bigint
  readonly end: bigint
  /** Whether a piece holds the very entry its end names. Old writers may have left out no-ops. */
  readonly exactEnds: boolean
}

/**
 * Reads a whole backup as a restore would, without touching the target: every object must be there, decompress, have
 * its size and checksum; the oplog must decode, cover its range, and hold nothing that a replay can't do.
 */
export async function verifySnapshot(store: ObjectStore, snapshot: Snapshot, options: VerifyOptions): Promise<void> {
  verifyCoverage(options.oplog, options)
  let bytes = 0
  const count = (length: number) => {
    bytes += length
    options.onProgress?.(bytes)
  }
  await snapshot.readNamespaces(
    async (_namespace, documents) => {
      for await (const chunk of documents) count(chunk.length)
    },
    { width: options.width, signal: options.signal },
  )
  for (const piece of options.oplog) await verifyPiece(store, piece, options, count)
}

/** The pieces, in order of their start, must leave no gap between `start` and `end`. Throws `BACKUP_DAMAGED`. */
export function verifyCoverage(pieces: readonly OplogPiece[], range: { start: bigint; end: bigint }): void {
  let covered = range.start
  for (const piece of pieces) {
    if (piece.start > covered) throw gap(covered, piece.start)
    if (piece.end > covered) covered = piece.end
  }
  if (covered < range.end || pieces.length === 0) throw gap(covered, range.end)
}

async function verifyPiece(
  store: ObjectStore,
  piece: OplogPiece,
  options: VerifyOptions,
  count: (bytes: number) => void,
): Promise<void> {
  let last = 0n
  try {
    for await (const entry of readEntries(
      counted(readObject(store, piece.object, piece.compression, options), count),
    )) {
      if (entry.ts < last && !options.exactEnds)
        throw damaged(`${piece.object} is not in order at ${optimeText(entry.ts)}`)
      if (entry.ts > last) last = entry.ts
      if (entry.ts <= options.end) verifyEntry(entry, entry.ts)
    }
  } catch (error) {
    throw objectError(error, piece.object)
  }
  // Both what the piece is said to hold and what is needed of it.
  if (options.exactEnds && last < piece.end && last < options.end) {
    throw damaged(`${piece.object} ends at ${optimeText(last)} instead of ${optimeText(piece.end)}`)
  }
}

function verifyEntry(operation: Operation | OplogEntry, ts: bigint): void {
  if (classify(operation, ts) !== 'nested') return
  for (const inner of innerOperations(operation.o)) verifyEntry(inner, ts)
}

async function* counted(source: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}

function gap(from: bigint, to: bigint) {
  return damaged(
    `The oplog of the backup has a gap from ${optimeText(from)} to ${optimeText(to)}: a piece of it is missing`,
  )
}
