import { BSON, EJSON } from 'bson'
import { PbmError } from '../errors.js'
import { buildDocument } from './build.js'
import { BSON_ARRAY, BSON_BOOLEAN, BSON_DOCUMENT, BSON_STRING, type ElementPosition, readElement } from './elements.js'
import { type JsonValue, parseJson } from './ordered-json.js'

/**
 * Canonical Extended JSON v2 to and from raw BSON, with every key where it was. JavaScript objects would move
 * integer-like keys to the front, and the order of an index's key is its meaning (PBM: archive-and-oplog.md §1.6).
 */
export function toExtendedJson(document: Buffer): string {
  return valueText(document, BSON_DOCUMENT, 0, document.length)
}

function valueText(buffer: Buffer, type: number, start: number, end: number): string {
  if (type === BSON_DOCUMENT || type === BSON_ARRAY) {
    const parts: string[] = []
    const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
    for (let at = start + 4; readElement(buffer, at, end, element); at = element.end) {
      const { type: inner, start: from, value, end: to } = element
      const text = valueText(buffer, inner, value, to)
      element.end = to
      parts.push(type === BSON_ARRAY ? text : `${JSON.stringify(buffer.toString('utf8', from + 1, value - 1))}:${text}`)
    }
    return type === BSON_ARRAY ? `[${parts.join(',')}]` : `{${parts.join(',')}}`
  }
  if (type === BSON_STRING) return JSON.stringify(buffer.toString('utf8', start + 4, end - 1))
  if (type === BSON_BOOLEAN) return buffer[start] === 1 ? 'true' : 'false'
  const wrapped = buildDocument([{ name: 'v', type, value: buffer.subarray(start, end) }])
  const decoded = BSON.deserialize(wrapped, { promoteValues: false, bsonRegExp: true, useBigInt64: false })
  return EJSON.stringify(decoded.v, { relaxed: false })
}

/** Extended JSON text of an object (canonical or relaxed) as raw BSON. Throws `JSON_INVALID` as {@link parseJson}. */
export function fromExtendedJson(text: string, options: { uniqueKeys?: boolean } = {}): Buffer {
  const value = parseJson(text, options)
  if (!(value instanceof Map)) throw new PbmError('JSON_INVALID', 'The Extended JSON is not an object')
  return documentFromJson(value)
}

/** A parsed object as raw BSON. */
export function documentFromJson(value: ReadonlyMap<string, JsonValue>): Buffer {
  return Buffer.from(BSON.serialize(toSerializable(value) as Map<string, unknown>, { ignoreUndefined: false }))
}

/** What marks an object of JSON as one BSON value (Extended JSON v2). */
const WRAPPERS = new Set([
  '$numberInt',
  '$numberLong',
  '$numberDouble',
  '$numberDecimal',
  '$oid',
  '$date',
  '$binary',
  '$uuid',
  '$timestamp',
  '$regularExpression',
  '$symbol',
  '$code',
  '$minKey',
  '$maxKey',
  '$undefined',
  '$dbPointer',
])

function toSerializable(value: JsonValue | ReadonlyMap<string, JsonValue>): unknown {
  if (Array.isArray(value)) return value.map(toSerializable)
  if (!(value instanceof Map)) return value
  const [first] = value.keys()
  if (first !== undefined && WRAPPERS.has(first)) return EJSON.parse(jsonText(value), { relaxed: false })
  return new Map([...value].map(([key, inner]) => [key, toSerializable(inner)]))
}

function jsonText(value: JsonValue | ReadonlyMap<string, JsonValue>): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (value instanceof Map) {
    return `{${[...value].map(([key, inner]) => `${JSON.stringify(key)}:${jsonText(inner)}`).join(',')}}`
  }
  return JSON.stringify(value)
}
