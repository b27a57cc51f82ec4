import { findField } from '../bson/elements.js'
import { PbmError } from '../errors.js'

/** One reply of a `find` or `getMore` that was read raw. */
export interface RawBatch {
  /** 0n when the cursor is exhausted. */
  readonly cursorId: bigint
  /** `database.collection`, as `getMore` must name it. */
  readonly namespace: string
  /** The documents, concatenated. A view of the reply, whose bytes were moved in place. */
  readonly documents: Buffer
  readonly count: number
}

/** Reads the `cursor` field of a raw reply and compacts its batch into concatenated documents, without a copy. */
export function readBatch(cursor: Buffer): RawBatch {
  const id = findField(cursor, 'id')
  const ns = findField(cursor, 'ns')
  const batch = findField(cursor, 'nextBatch') ?? findField(cursor, 'firstBatch')
  if (id === undefined || ns === undefined || batch === undefined) {
    throw new PbmError('SERVER_REPLY_UNEXPECTED', 'The server answered a read without a cursor')
  }
  const cursorId = cursor.readBigInt64LE(id.value)
  const namespace = cursor.toString('utf8', ns.value + 4, ns.end - 1)
  const { documents, count } = compactArray(cursor.subarray(batch.value, batch.end))
  return { cursorId, namespace, documents, count }
}

/**
 * Removes the array's own bytes (type, index as text, zero) between its documents by moving these down in place:
 * `array` is overwritten. Index names grow with the count, so their length is known without looking for their end.
 */
function compactArray(array: Buffer): { documents: Buffer; count: number } {
  const end = array.length - 1
  let from = 4
  let to = 0
  let count = 0
  let digits = 1
  let nextLonger = 10
  while (from < end) {
    if (count === nextLonger) {
      digits++
      nextLonger *= 10
    }
    const start = from + 2 + digits
    const length =
      (array[start] ?? 0) |
      ((array[start + 1] ?? 0) << 8) |
      ((array[start + 2] ?? 0) << 16) |
      ((array[start + 3] ?? 0) << 24)
    if (array[from] !== 0x03 || length < 5 || start + length > end) {
      throw new PbmError('SERVER_REPLY_UNEXPECTED', `The server's batch is not an array of documents at byte ${from}`)
    }
    array.copyWithin(to, start, start + length)
    to += length
    from = start + length
    count++
  }
  return { documents: array.subarray(0, to), count }
}
