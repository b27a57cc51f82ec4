import { Decimal128 } from 'bson'
import { BSON_INT32, type ElementPosition, findField, readElement } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import type { Operation } from '../entry.js'

const OFFSET = 0x811c9dc5
const PRIME = 0x01000193

/**
 * A number that all changes of one document share, whichever way its `_id` is written: the server takes 1, 1.0 and
 * NumberLong(1) for the same key, so their changes must not overtake each other. `undefined` where there is no `_id`.
 */
export function documentHash(operation: Operation): number | undefined {
  const holder = operation.op === 'u' ? (operation.o2 ?? operation.o) : operation.o
  const id = findField(holder, '_id')
  if (id === undefined) return undefined
  return hashValue(holder, id.type, id.value, id.end, hashText(operation.ns)) >>> 0
}

/** FNV-1a over the characters. */
export function hashText(text: string): number {
  let hash = OFFSET
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME)
  return hash >>> 0
}

const scratch = Buffer.alloc(8)

/** No server nests deeper. */
const MAX_DEPTH = 250

function hashValue(raw: Buffer, type: number, start: number, end: number, seed: number, depth = 0): number {
  if (depth > MAX_DEPTH)
    throw new PbmError('OPLOG_CORRUPT', 'an _id in the oplog is nested deeper than any server takes')
  switch (type) {
    case 0x01:
      return hashNumber(raw.readDoubleLE(start), seed)
    case BSON_INT32:
      return hashNumber(raw.readInt32LE(start), seed)
    case 0x12:
      return hashNumber(Number(raw.readBigInt64LE(start)), seed)
    case 0x13:
      return hashNumber(Number(new Decimal128(raw.subarray(start, start + 16)).toString()), seed)
    case 0x03:
    case 0x04: {
      let hash = seed
      const element: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
      for (let at = start + 4; readElement(raw, at, end, element); at = element.end) {
        hash = hashBytes(raw, element.start + 1, element.value, hash)
        hash = hashValue(raw, element.type, element.value, element.end, hash, depth + 1)
      }
      return hash
    }
    default:
      return hashBytes(raw, start, end, seed)
  }
}

/** Equal numbers become equal doubles, of whatever type they were; others may, which only puts them into one lane. */
function hashNumber(value: number, seed: number): number {
  scratch.writeDoubleLE(value === 0 ? 0 : value, 0)
  return hashBytes(scratch, 0, 8, seed)
}

function hashBytes(raw: Buffer, start: number, end: number, seed: number): number {
  let hash = seed
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (raw[at] ?? 0), PRIME)
  return hash
}
