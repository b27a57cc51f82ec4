import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { type OplogEntry, optimeText, parseEntry } from '../../oplog/entry.js'
import { withoutControlEntry } from '../../oplog/reading/control-entries.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { damaged, type OplogPiece, objectError, type ReadStoredOptions, readPiece } from '../data/stored-objects.js'

export interface RawEntry {
  readonly raw: Buffer
  readonly entry: OplogEntry
}

export interface ReadPiece {
  readonly piece: OplogPiece
  readonly first: RawEntry | undefined
  readonly last: RawEntry | undefined
}

export interface ReadInOrderOptions extends ReadStoredOptions {
  /** Nothing may be before or behind what its name says. */
  readonly isBounded: boolean
  /** What the last entry may not be before. */
  readonly mustReach: bigint | undefined
  readonly onEntry?: (found: RawEntry) => void
}

/**
 * Reads a piece through: it must decode, have its checksum where that is known, and be in order. Throws `BACKUP_DAMAGED` or
 * `BACKUP_OBJECT_MISSING` with its name, and whatever `onEntry` throws.
 */
export async function readInOrder(
  store: ObjectStore,
  piece: OplogPiece,
  { isBounded, mustReach, onEntry, ...call }: ReadInOrderOptions,
): Promise<ReadPiece> {
  let first: RawEntry | undefined
  let last: RawEntry | undefined
  let reached = 0n
  for await (const found of readRaw(store, piece, call)) {
    const { ts } = found.entry
    if (ts < reached) throw damaged(`${piece.object} is not in order at ${optimeText(ts)}`)
    if (isBounded && (ts < piece.start || ts > piece.end)) {
      throw damaged(`${piece.object} has an entry of ${optimeText(ts)}, which is not what its name says`)
    }
    reached = ts
    first ??= found
    last = found
    onEntry?.(found)
  }
  if (mustReach !== undefined && reached < mustReach) {
    throw damaged(`${piece.object} ends at ${optimeText(reached)} instead of ${optimeText(piece.end)}`)
  }
  return { piece, first, last }
}

/** Neighbours share the entry at their border. Throws `BACKUP_DAMAGED`. */
export function verifyBorder(before: ReadPiece, after: ReadPiece): void {
  const [one, other] = [before.last, after.first]
  if (one === undefined || other === undefined || one.entry.ts !== other.entry.ts) return
  if (!isSame(one, other)) throw differing(before.piece, after.piece, one.entry.ts)
}

/** A stretch that was stored twice must be the same both times, up to `end`. Throws `BACKUP_DAMAGED`. */
export async function verifyOverlap(
  store: ObjectStore,
  before: OplogPiece,
  after: OplogPiece,
  options: CallOptions & { readonly end: bigint },
): Promise<void> {
  const end = before.end < after.end ? before.end : after.end
  const start = before.start > after.start ? before.start : after.start
  const range = { start, end: end < options.end ? end : options.end }
  const [left, right] = [changes(store, before, range, options), changes(store, after, range, options)]
  try {
    for (;;) {
      const [one, other] = [await left.next(), await right.next()]
      if (one.done === true && other.done === true) return
      if (one.done !== true && other.done !== true && isSame(one.value, other.value)) continue
      const at = one.done === true ? other.value?.entry.ts : one.value.entry.ts
      throw differing(before, after, at ?? range.start)
    }
  } finally {
    await Promise.all([left.return(undefined), right.return(undefined)])
  }
}

/** PBM stores entries of control collections as they are. */
function isSame(one: RawEntry, other: RawEntry): boolean {
  return one.raw.equals(other.raw) || withoutControlEntry(one.raw).equals(withoutControlEntry(other.raw))
}

/** Without no-ops, and what others would store as one: some writers leave them out. */
async function* changes(
  store: ObjectStore,
  piece: OplogPiece,
  range: { start: bigint; end: bigint },
  options: CallOptions,
): AsyncGenerator<RawEntry, undefined> {
  for await (const found of readRaw(store, piece, options)) {
    if (found.entry.ts > range.end) return
    if (found.entry.ts >= range.start && !isNoOperation(found)) yield found
  }
}

function isNoOperation({ raw, entry }: RawEntry): boolean {
  return entry.op === 'n' || (entry.ns.startsWith('admin.') && findString(withoutControlEntry(raw), 'op') === 'n')
}

function differing(before: OplogPiece, after: OplogPiece, at: bigint) {
  return damaged(`${before.object} and ${after.object} overlap and differ at ${optimeText(at)}`)
}

async function* readRaw(store: ObjectStore, piece: OplogPiece, options: ReadStoredOptions): AsyncGenerator<RawEntry> {
  try {
    for await (const documents of wholeDocuments(readPiece(store, piece, options))) {
      for (const raw of documentsIn(documents)) yield { raw, entry: parseEntry(raw) }
    }
  } catch (error) {
    throw objectError(error, piece.object)
  }
}
