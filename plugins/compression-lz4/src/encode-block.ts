/** The shortest match that LZ4 can write. */
const SHORTEST_MATCH = 4
/** The last bytes of a block are literals, and no match may start in its very end: rules of the block format. */
const LAST_LITERALS = 5
const NO_MATCH_FROM_END = 12
const FARTHEST = 65_535
const HASH_BITS = 16

const heads = new Int32Array(1 << HASH_BITS)
/** For every position, modulo the window, the one before it with the same hash. */
const chain = new Int32Array(FARTHEST + 1)

/**
 * Encodes one LZ4 block, looking at up to `depth` earlier places for every match. Keeps a match back when the next byte starts a longer one.
 */
export function encodeBlock(input: Uint8Array, depth: number): Buffer {
  const output = Buffer.allocUnsafeSlow(input.length + Math.ceil(input.length / 255) + 16)
  const lastStart = input.length - NO_MATCH_FROM_END
  const matchEnd = input.length - LAST_LITERALS
  let written = 0
  let literalsFrom = 0
  let indexed = 0
  let foundOffset = 0
  heads.fill(-1)

  function index(until: number): void {
    for (; indexed < until; indexed++) {
      const hash = hashAt(input, indexed)
      chain[indexed & FARTHEST] = heads[hash] as number
      heads[hash] = indexed
    }
  }

  /** The length of the longest match at `at`, its distance in `foundOffset`; 0 for none longer than `atLeast`. */
  function find(at: number, atLeast: number): number {
    index(at)
    let best = Math.max(atLeast, SHORTEST_MATCH - 1)
    let found = 0
    let from = heads[hashAt(input, at)] as number
    for (let tries = depth; tries > 0 && from >= 0 && at - from <= FARTHEST; tries--) {
      if (input[from + best] === input[at + best] && input[from] === input[at]) {
        let length = 0
        while (at + length < matchEnd && input[from + length] === input[at + length]) length++
        if (length > best) {
          best = length
          found = length
          foundOffset = at - from
        }
      }
      const before = chain[from & FARTHEST] as number
      // A slot that a later position took over does not lead back.
      if (before >= from) break
      from = before
    }
    return found
  }

  function writeLength(rest: number): void {
    let left = rest
    for (; left >= 255; left -= 255) output[written++] = 255
    output[written++] = left
  }

  function writeSequence(literalsEnd: number, length: number): void {
    const literals = literalsEnd - literalsFrom
    const extra = length - SHORTEST_MATCH
    output[written++] = (Math.min(literals, 15) << 4) | (length === 0 ? 0 : Math.min(extra, 15))
    if (literals >= 15) writeLength(literals - 15)
    output.set(input.subarray(literalsFrom, literalsEnd), written)
    written += literals
    if (length === 0) return
    output[written++] = foundOffset & 0xff
    output[written++] = foundOffset >> 8
    if (extra >= 15) writeLength(extra - 15)
  }

  for (let at = 0; at <= lastStart; ) {
    let length = find(at, 0)
    if (length === 0) {
      at++
      continue
    }
    for (let offset = foundOffset; at < lastStart; offset = foundOffset) {
      const longer = find(at + 1, length)
      if (longer === 0) {
        foundOffset = offset
        break
      }
      length = longer
      at++
    }
    writeSequence(at, length)
    at += length
    literalsFrom = at
  }
  writeSequence(input.length, 0)
  return output.subarray(0, written)
}

function hashAt(input: Uint8Array, at: number): number {
  const four =
    (input[at] as number) |
    ((input[at + 1] as number) << 8) |
    ((input[at + 2] as number) << 16) |
    ((input[at + 3] as number) << 24)
  return Math.imul(four, 0x9e3779b1) >>> (32 - HASH_BITS)
}
