import { costOf, ElementWriter } from './element-writer.js'

/** The largest block this encoder takes. */
export const LARGEST_BLOCK = 1024 * 1024
const SHORTEST_MATCH = 4
const HASH_BITS = 15

const heads = new Int32Array(1 << HASH_BITS)
/** For every position the one before it with the same hash. */
const chain = new Int32Array(LARGEST_BLOCK)

/**
 * Encodes one S2 block of at most 1 MiB. Looks for matches in the whole block, at up to `depth` places, takes what saves
 * most bytes, repeats of the last offset before others, and holds a match back when the next byte starts a better one.
 */
export function encodeBlock(input: Uint8Array, depth: number): Buffer {
  const writer = new ElementWriter(input.length)
  const lastStart = input.length - SHORTEST_MATCH
  let indexed = 0
  let offset = 0
  let length = 0
  heads.fill(-1)

  function index(until: number): void {
    for (; indexed < until; indexed++) {
      const hash = hashAt(input, indexed)
      chain[indexed] = heads[hash] as number
      heads[hash] = indexed
    }
  }

  function matchLength(from: number, at: number): number {
    let count = 0
    while (at + count < input.length && input[from + count] === input[at + count]) count++
    return count
  }

  /** How many bytes the best match at `at` saves, itself in `offset` and `length`; 0 for none above `atLeast`. */
  function find(at: number, atLeast: number): number {
    let best = atLeast
    let longest = 0
    const consider = (from: number, repeated: boolean): void => {
      const count = matchLength(from, at)
      if (count < SHORTEST_MATCH) return
      const saved = count - costOf(at - from, count, repeated)
      longest = Math.max(longest, count)
      if (saved <= best) return
      best = saved
      offset = at - from
      length = count
    }
    index(at)
    if (writer.lastOffset > 0 && writer.lastOffset <= at) consider(at - writer.lastOffset, true)
    let from = heads[hashAt(input, at)] as number
    for (let tries = depth; tries > 0 && from >= 0; tries--) {
      // Farther away, only a longer match can save more.
      if (input[from + longest] === input[at + longest]) consider(from, false)
      from = chain[from] as number
    }
    return best > atLeast ? best : 0
  }

  let literalsFrom = 0
  let misses = 0
  for (let at = 0; at <= lastStart; ) {
    let saved = find(at, 0)
    if (saved === 0) {
      // Where nothing matches for long, steps grow: such bytes rarely gain anything.
      at += 1 + (misses++ >> 8)
      continue
    }
    misses = 0
    while (at < lastStart) {
      const [heldOffset, heldLength] = [offset, length]
      const better = find(at + 1, saved)
      if (better === 0) {
        offset = heldOffset
        length = heldLength
        break
      }
      saved = better
      at++
    }
    writer.literal(input.subarray(literalsFrom, at))
    writer.copy(offset, length)
    at += length
    literalsFrom = at
  }
  writer.literal(input.subarray(literalsFrom))
  return writer.written()
}

function hashAt(input: Uint8Array, at: number): number {
  const four =
    (input[at] as number) |
    ((input[at + 1] as number) << 8) |
    ((input[at + 2] as number) << 16) |
    ((input[at + 3] as number) << 24)
  return Math.imul(four, 0x9e3779b1) >>> (32 - HASH_BITS)
}
