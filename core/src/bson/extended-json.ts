import { BSON, EJSON } from 'bson'
import { PbmError } from '../errors.js'
import { buildDocument } from './build.js'
import { BSON_ARRAY, BSON_BOOLEAN, BSON_DOCUMENT, BSON_STRING, type ElementPosition, readElement } from './elements.js'
import { type JsonValue, parseJson } from './ordered-json.js'
import type { Turns } from './turns.js'

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

/** A parsed object as raw BSON. Throws `JSON_INVALID`. */
export function documentFromJson(value: ReadonlyMap<string, JsonValue>): Buffer {
  const serializable = toSerializable(value) as Map<string, unknown>
  try {
    return Buffer.from(BSON.serialize(serializable, { ignoreUndefined: false }))
  } catch (cause) {
    throw new PbmError('JSON_INVALID', 'The Extended JSON can not become BSON', { cause })
  }
}

/** Values beside each other that are made in one turn. */
const TOGETHER = 200

/** The same of an object of any size: everybody else gets a turn meanwhile. */
export async function documentFromJsonGently(value: ReadonlyMap<string, JsonValue>, turns: Turns): Promise<Buffer> {
  return await gently([...value], turns)
}

async function gently(entries: readonly [string, JsonValue][], turns: Turns): Promise<Buffer> {
  const bodies: Buffer[] = []
  let together: [string, JsonValue][] = []
  const put = () => {
    if (together.length > 0) bodies.push(documentFromJson(new Map(together)).subarray(4, -1))
    together = []
  }
  for (const [key, inner] of entries) {
    if (turns.areDue()) await turns.give()
    const type = typeOfLarge(inner)
    if (type !== undefined) {
      put()
      const items =
        inner instanceof Map
          ? [...inner]
          : (inner as JsonValue[]).map((item, at) => [String(at), item] as [string, JsonValue])
      bodies.push(elementBytes(key, type, await gently(items, turns)))
    } else if (together.push([key, inner]) >= TOGETHER) put()
  }
  put()
  return documentOfBytes(bodies)
}

function elementBytes(name: string, type: number, value: Buffer): Buffer {
  if (name.includes('\0')) throw new PbmError('JSON_INVALID', 'The Extended JSON has a key with a NUL')
  return Buffer.concat([Buffer.of(type), Buffer.from(`${name}\0`), value])
}

function documentOfBytes(bodies: readonly Buffer[]): Buffer {
  const document = Buffer.concat([Buffer.alloc(4), ...bodies, Buffer.alloc(1)])
  document.writeInt32LE(document.length, 0)
  return document
}

/** BSON's type of what has parts of its own; undefined for what is made in no time. */
function typeOfLarge(value: JsonValue): number | undefined {
  if (Array.isArray(value)) return BSON_ARRAY
  if (!(value instanceof Map)) return undefined
  const [first] = value.keys()
  return first !== undefined && WRAPPERS.has(first) ? undefined : BSON_DOCUMENT
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
  if (first !== undefined && WRAPPERS.has(first)) return wrapped(value, first)
  return new Map([...value].map(([key, inner]) => [key, toSerializable(inner)]))
}

function wrapped(value: ReadonlyMap<string, JsonValue>, type: string): unknown {
  try {
    return EJSON.parse(jsonText(value), { relaxed: false })
  } catch (cause) {
    throw new PbmError('JSON_INVALID', `The Extended JSON has a ${type} that is none`, { cause })
  }
}

function jsonText(value: JsonValue | ReadonlyMap<string, JsonValue>): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`
  if (value instanceof Map) {
    return `{${[...value].map(([key, inner]) => `${JSON.stringify(key)}:${jsonText(inner)}`).join(',')}}`
  }
  return JSON.stringify(value)
}
