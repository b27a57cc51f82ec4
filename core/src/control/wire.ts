import { type Document, Long } from 'mongodb'

/** Fields that PBM writes as 64-bit integers, in whichever control document they stand (PBM: control-plane.md §1.4). */
const LONG_FIELDS = new Set([
  'start_ts',
  'last_transition_ts',
  'timestamp',
  'size',
  'size_uncompressed',
  'start_pitr',
  'pitr',
  'ts',
  'olderthan',
])

/** Sub-documents that are not ours to type: configuration, server options, oplog entries, our own progress. */
const OPAQUE_FIELDS = new Set(['store', 'storage', 'mongod_opts', 'partial_txn', 'stat', 'progress', 'extConf'])

/**
 * The document with its 64-bit fields as BSON longs. The driver writes a plain JavaScript integer as int32 or double,
 * which PBM reads but never writes, and scripts on its collections compare types.
 */
export function toWire<T extends object>(document: T): Document {
  return convert(document) as Document
}

function convert(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(convert)
  if (!isPlain(value)) return value
  const copy: Document = {}
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue
    if (LONG_FIELDS.has(key) && typeof field === 'number') copy[key] = Long.fromNumber(field)
    else copy[key] = OPAQUE_FIELDS.has(key) ? field : convert(field)
  }
  return copy
}

/** Not a BSON type (those have a prototype of their own), not a Date, not a Buffer. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === Object.prototype || prototype === null
}

/** A number however it was written; `otherwise` for null and absent. */
export function readNumber(value: unknown, otherwise = 0): number {
  if (typeof value === 'number') return value
  if (value === null || value === undefined) return otherwise
  // A document's own `valueOf` may be anything.
  if (isPlain(value)) return otherwise
  const number = Number(value)
  return Number.isFinite(number) ? number : otherwise
}

/** Whether it is a sub-document, or a BSON value. */
export function isDocument(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** A list; PBM writes an empty one as null (PBM: control-plane.md §1.2). What is none reads as an empty one. */
export function readList<T>(value: readonly T[] | null | undefined): T[] {
  return Array.isArray(value) ? [...value] : []
}

/** Now in Unix seconds by this machine's clock, as PBM stamps its transitions. */
export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Whether an error says that a unique index has the key already. */
export function isDuplicateKey(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === 11000
}

/**
 * What servers answer to a document that they can't store: BadValue, FailedToParse, TypeMismatch, Overflow (nested too
 * deep), InvalidBSON, names of fields, too large, a key too long for its index.
 */
const REFUSED_DOCUMENT: ReadonlySet<unknown> = new Set([2, 9, 14, 15, 22, 52, 53, 55, 56, 57, 10334, 17280, 17419])
/** The driver, of what it can't make a message of. */
const NOT_SERIALIZABLE: ReadonlySet<unknown> = new Set([
  ...['BSONError', 'BSONVersionError', 'BSONRuntimeError', 'MongoInvalidArgumentError'],
  ...['RangeError', 'TypeError'],
])

/** Whether an error of a write is the document's own, and another one may well be written. */
export function isRefusedDocument(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return REFUSED_DOCUMENT.has((error as { code?: unknown }).code) || NOT_SERIALIZABLE.has(error.name)
}
