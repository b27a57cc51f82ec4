import { PbmError } from '../errors.js'

/** BSON element types that are told apart here (bsonspec.org, version 1.1). */
export const BSON_STRING = 0x02
export const BSON_DOCUMENT = 0x03
export const BSON_ARRAY = 0x04
export const BSON_BOOLEAN = 0x08
export const BSON_INT32 = 0x10
export const BSON_TIMESTAMP = 0x11
export const BSON_INT64 = 0x12

/** Where an element lies in its buffer; `value` is after the name's zero, `end` after the value. */
export interface ElementPosition {
  type: number
  start: number
  value: number
  end: number
}

/** The bytes of a value of `type` at `offset`. Throws `BSON_CORRUPT` for a type that does not exist. */
export function valueLength(buffer: Buffer, type: number, offset: number): number {
  switch (type) {
    case 0x01: // double
    case 0x09: // date
    case 0x11: // timestamp
    case 0x12: // int64
      return 8
    case 0x02: // string
    case 0x0d: // code
    case 0x0e: // symbol
      return 4 + lengthAt(buffer, offset)
    case 0x03: // document
    case 0x04: // array
    case 0x0f: // code with scope
      return lengthAt(buffer, offset)
    case 0x05: // binary
      return 5 + lengthAt(buffer, offset)
    case 0x07: // ObjectId
      return 12
    case 0x08: // boolean
      return 1
    case 0x10: // int32
      return 4
    case 0x13: // decimal128
      return 16
    case 0x06: // undefined
    case 0x0a: // null
    case 0xff: // min key
    case 0x7f: // max key
      return 0
    case 0x0b: {
      // two C strings
      const pattern = buffer.indexOf(0, offset)
      const options = buffer.indexOf(0, pattern + 1)
      if (pattern < 0 || options < 0) throw corrupt(offset)
      return options + 1 - offset
    }
    case 0x0c: // DBPointer
      return 4 + lengthAt(buffer, offset) + 12
    default:
      throw corrupt(offset)
  }
}

function lengthAt(buffer: Buffer, offset: number): number {
  if (offset + 4 > buffer.length) throw corrupt(offset)
  return buffer.readInt32LE(offset)
}

/** Fills `position` with the element at `offset`; false at the end of the document. Never decodes a value. */
export function readElement(buffer: Buffer, offset: number, end: number, position: ElementPosition): boolean {
  const type = buffer[offset] ?? 0
  if (type === 0) {
    if (offset !== end - 1) throw corrupt(offset)
    return false
  }
  let value = offset + 1
  while (value < end && buffer[value] !== 0) value++
  value++
  if (value >= end) throw corrupt(offset)
  const length = valueLength(buffer, type, value)
  if (length < 0 || value + length >= end) throw corrupt(offset)
  position.type = type
  position.start = offset
  position.value = value
  position.end = value + length
  return true
}

/** The top-level field `name` of the document at `offset`, or undefined. */
export function findField(buffer: Buffer, name: string, offset = 0): ElementPosition | undefined {
  const wanted = Buffer.from(name)
  const end = offset + lengthAt(buffer, offset)
  if (end > buffer.length) throw corrupt(offset)
  const position: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = offset + 4; readElement(buffer, at, end, position); at = position.end) {
    if (
      position.value - position.start - 2 === wanted.length &&
      wanted.compare(buffer, position.start + 1, position.value - 1) === 0
    ) {
      return position
    }
  }
  return undefined
}

/** A nested document or array as its own raw bytes (a view), or undefined where the field is missing or another type. */
export function findDocument(buffer: Buffer, name: string, offset = 0): Buffer | undefined {
  const field = findField(buffer, name, offset)
  if (field === undefined || (field.type !== BSON_DOCUMENT && field.type !== BSON_ARRAY)) return undefined
  return buffer.subarray(field.value, field.end)
}

/** A string field, or undefined. */
export function findString(buffer: Buffer, name: string, offset = 0): string | undefined {
  const field = findField(buffer, name, offset)
  return field?.type === BSON_STRING ? buffer.toString('utf8', field.value + 4, field.end - 1) : undefined
}

/** The values of a raw array, in order, as views of its embedded documents; other types are refused. */
export function documentsOfArray(array: Buffer): Buffer[] {
  return [...eachOfArray(array)]
}

/** The same, one by one. */
export function* eachOfArray(array: Buffer): Generator<Buffer> {
  const position: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(array, at, array.length, position); at = position.end) {
    if (position.type !== BSON_DOCUMENT) throw corrupt(at)
    yield array.subarray(position.value, position.end)
  }
}

function corrupt(offset: number): PbmError {
  return new PbmError('BSON_CORRUPT', `The bytes at ${offset} are not a BSON element`)
}
