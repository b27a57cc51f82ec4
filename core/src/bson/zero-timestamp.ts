import { BSON_TIMESTAMP, type ElementPosition, readElement } from './elements.js'

/** The end of a field's name and a value of eight zeros: what every zero timestamp contains. */
const NAME_END_AND_ZERO = Buffer.alloc(9)

/**
 * Where in `buffer`, from `offset`, a zero timestamp could be; -1 if nowhere. A native search, so that data without
 * nine zeros in a row costs next to nothing.
 */
export function nextZeroCandidate(buffer: Buffer, offset: number): number {
  return buffer.indexOf(NAME_END_AND_ZERO, offset)
}

/**
 * Whether the document at `offset` has a top-level Timestamp(0, 0) outside `_id`: the server puts its own clock in the
 * place of those when the document is inserted.
 */
export function hasZeroTimestamp(buffer: Buffer, offset: number): boolean {
  const end = offset + buffer.readInt32LE(offset)
  const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  for (let at = offset + 4; readElement(buffer, at, end, element); at = element.end) {
    if (element.type !== BSON_TIMESTAMP) continue
    if (buffer.readInt32LE(element.value) !== 0 || buffer.readInt32LE(element.value + 4) !== 0) continue
    if (buffer.toString('latin1', element.start + 1, element.value - 1) !== '_id') return true
  }
  return false
}
