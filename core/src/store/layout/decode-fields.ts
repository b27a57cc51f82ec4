import { Timestamp } from 'bson'
import type { JsonValue } from '../../bson/ordered-json.js'
import { PbmError } from '../../errors.js'

export interface Field {
  /** In the JSON. */
  readonly key: string
  /** In the document, where that differs. */
  readonly as?: string
  readonly kind: Kind
  /** `empty`: left out when empty; `absent`: only when the document has none. Otherwise the key always stands. */
  readonly omit?: 'empty' | 'absent'
}
type Name = 'string' | 'integer' | 'boolean' | 'timestamp' | 'strings' | 'map' | 'object' | 'store' | 'list'
/** An array of fields is a list of such documents; `fields` one of them. */
export type Kind = Name | Field[] | { readonly fields: Field[] }

/** Yields at each value, so that whoever drives it can give others a turn. */
export type Decoding<T> = Generator<undefined, T>

/**
 * What a record may have of fields and entries, those counted that are filled in: more than a cluster of a thousand shards
 * has.
 */
export const MOST_VALUES = 250_000
/** Of one object that no table describes; it is put together in one turn. */
const MOST_KEYS = 10_000
/** No server takes a document that is nested deeper. */
const MAX_DEPTH = 100

export class Budget {
  #left = MOST_VALUES

  take(count: number): void {
    this.#left -= count
    if (this.#left < 0) throw tooManyValues()
  }
}

export function tooManyValues(): PbmError {
  return new PbmError(
    'BACKUP_METADATA_INVALID',
    `it has more than ${MOST_VALUES} values, as no record of a backup does`,
  )
}

export function* decodeFields(
  fields: readonly Field[],
  json: ReadonlyMap<string, JsonValue>,
  path: string,
  budget: Budget,
): Decoding<Record<string, unknown>> {
  budget.take(fields.length)
  const values = yield* valuesOf(fields, json)
  const document: Record<string, unknown> = {}
  for (const { key, as, kind, omit } of fields) {
    const value = values.get(key) ?? undefined
    const decoded = yield* decode(kind, value, `${path}${key}`, budget)
    if (omit === 'absent' && value === undefined) continue
    if (omit === 'empty' && isEmpty(decoded)) continue
    document[as ?? key] = decoded
  }
  return document
}

/** In whatever case its name stands; one that is written as it should be is taken before others. */
function* valuesOf(
  fields: readonly Field[],
  json: ReadonlyMap<string, JsonValue>,
): Decoding<ReadonlyMap<string, JsonValue>> {
  const keys = new Map(fields.map(({ key }) => [key.toLowerCase(), key]))
  const found = new Map<string, JsonValue>()
  for (const [name, value] of json) {
    yield
    const key = keys.get(name.toLowerCase())
    if (key !== undefined && (name === key || !json.has(key))) found.set(key, value)
  }
  return found
}

function* decode(kind: Kind, value: JsonValue | undefined, path: string, budget: Budget): Decoding<unknown> {
  yield
  if (Array.isArray(kind)) {
    return yield* decodeList(value, path, budget, function* (item, at) {
      return yield* decodeFields(kind, objectOf(item, at), `${at}.`, budget)
    })
  }
  if (typeof kind === 'object')
    return value === undefined ? {} : yield* decodeFields(kind.fields, objectOf(value, path), `${path}.`, budget)
  switch (kind) {
    case 'string':
      return decodeString(value ?? '', path)
    case 'integer':
      if (value === undefined) return 0
      if (!Number.isSafeInteger(value)) throw wrongType(path, 'an integer', value)
      return value
    case 'boolean':
      if (value !== undefined && typeof value !== 'boolean') throw wrongType(path, 'true or false', value)
      return value ?? false
    case 'timestamp':
      return yield* decodeTimestamp(value, path, budget)
    case 'strings':
      return yield* decodeList(value, path, budget, decodeText)
    case 'list':
      return yield* decodeList(value, path, budget, (item, at) => plain(item, at, budget, 1))
    case 'map':
      if (value === undefined) return {}
      for (const [key, item] of objectOf(value, path)) decodeString(item, `${path}.${key.slice(0, 100)}`)
      return yield* plain(value, path, budget)
    case 'object':
    case 'store':
      return value === undefined ? {} : yield* plain(objectOf(value, path), path, budget)
  }
}

/** What no table describes, as JSON.parse would have it. */
function* plain(
  value: JsonValue | ReadonlyMap<string, JsonValue>,
  path: string,
  budget: Budget,
  depth = 0,
): Decoding<unknown> {
  budget.take(1)
  yield
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) throw new PbmError('BACKUP_METADATA_INVALID', `key ${path} is nested too deep`)
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const item of value) items.push(yield* plain(item, path, budget, depth + 1))
    return items
  }
  if (value.size > MOST_KEYS)
    throw new PbmError('BACKUP_METADATA_INVALID', `key ${path} has more than ${MOST_KEYS} keys`)
  const entries: [string, unknown][] = []
  for (const [key, inner] of value) entries.push([key, yield* plain(inner, path, budget, depth + 1)])
  return Object.fromEntries(entries)
}

function* decodeText(value: JsonValue, path: string): Decoding<string> {
  yield
  return decodeString(value, path)
}

function decodeString(value: JsonValue, path: string): string {
  if (typeof value !== 'string') throw wrongType(path, 'a string', value)
  return value
}

function* decodeList(
  value: JsonValue | undefined,
  path: string,
  budget: Budget,
  item: (value: JsonValue, path: string) => Decoding<unknown>,
): Decoding<unknown[]> {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw wrongType(path, 'an array', value)
  budget.take(value.length)
  const items: unknown[] = []
  for (const [index, element] of value.entries()) {
    yield
    items.push(yield* item(element, `${path}[${index}]`))
  }
  return items
}

/** Zero becomes (1,1): the server replaces a top-level Timestamp(0,0) by its own time on insert (PBM: control-plane.md §1.2). */
function* decodeTimestamp(value: JsonValue | undefined, path: string, budget: Budget): Decoding<Timestamp> {
  if (value === undefined) return new Timestamp({ t: 1, i: 1 })
  if (!(value instanceof Map)) throw wrongType(path, 'an object {"T": seconds, "I": increment}', value)
  const parts = yield* decodeFields(
    [
      { key: 'T', kind: 'integer' },
      { key: 'I', kind: 'integer' },
    ],
    value,
    `${path}.`,
    budget,
  )
  const [t, i] = [Number(parts.T), Number(parts.I)]
  if (t < 0 || i < 0 || t > 0xffffffff || i > 0xffffffff) throw wrongType(path, 'two unsigned 32-bit integers', value)
  return t === 0 && i === 0 ? new Timestamp({ t: 1, i: 1 }) : new Timestamp({ t, i })
}

export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

function objectOf(value: JsonValue, path: string): ReadonlyMap<string, JsonValue> {
  if (!(value instanceof Map)) throw wrongType(path, 'an object', value)
  return value
}

export function wrongType(path: string, expected: string, found: JsonValue | undefined): PbmError {
  return new PbmError('BACKUP_METADATA_INVALID', `key ${path}: expected ${expected}, found ${shown(found)}`)
}

function shown(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Map) return 'an object'
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 40) : (value ?? null)).slice(0, 40)
}
