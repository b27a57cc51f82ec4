import { PbmError } from '../errors.js'
import { BSON_ARRAY, BSON_BOOLEAN, BSON_DOCUMENT, BSON_STRING, type ElementPosition, readElement } from './elements.js'

/** No server takes a document that is nested deeper. */
const MAX_DEPTH = 200

/**
 * Throws `BSON_CORRUPT` where the document that fills the buffer is none down to its last value: for what no checksum vouches
 * for. Values are not decoded.
 */
export function requireWellFormed(buffer: Buffer, depth = 0): void {
  if (depth > MAX_DEPTH) throw corrupt('it is nested too deep')
  if (buffer.length < 5 || buffer.readInt32LE(0) !== buffer.length) throw corrupt('its length is wrong')
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = 4; readElement(buffer, at, buffer.length, element); at = element.end) {
    const { type, value, end } = element
    if (type === BSON_DOCUMENT || type === BSON_ARRAY) requireWellFormed(buffer.subarray(value, end), depth + 1)
    else if (type === BSON_STRING || type === 0x0d || type === 0x0e) requireText(buffer, value, end)
    else if (type === BSON_BOOLEAN && (buffer[value] ?? 0) > 1) throw corrupt('a value is neither true nor false')
  }
}

function requireText(buffer: Buffer, value: number, end: number): void {
  if (end - value < 5 || buffer[end - 1] !== 0) throw corrupt('a text does not end with a zero byte')
}

function corrupt(why: string): PbmError {
  return new PbmError('BSON_CORRUPT', `A document is not BSON: ${why}`)
}
