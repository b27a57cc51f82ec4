import { corrupt } from '@pbmkit/core/plugin/kit'

/** Copies at least this long, whose bytes do not overlap, go through memmove: below, a loop is faster. */
const LONG_COPY = 48

const damaged = (what: string) => corrupt(`The S2 stream is damaged: ${what}`)

interface Header {
  readonly length: number
  /** Where the elements start. */
  readonly start: number
}

/** How many bytes `block` decodes to, as its first bytes (a varint) say. Throws `CODEC_CORRUPT`. */
export function decodedLength(block: Uint8Array): number {
  return header(block).length
}

function header(block: Uint8Array): Header {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = block[at]
    if (byte === undefined) break
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return { length, start: at + 1 }
  }
  throw damaged('a block has no valid length')
}

/**
 * Decodes one S2 block, which may also be a Snappy block. The caller bounds {@link decodedLength} before.
 *
 * Elements start with a tag byte whose low two bits tell: 0 literal bytes, 1 to 3 a copy of earlier output with an
 * offset of 11, 16 or 32 bits. In S2, a copy of kind 1 with offset 0 repeats the last offset and has its own length
 * forms. Throws `CODEC_CORRUPT`.
 */
export function decodeBlock(block: Buffer): Buffer {
  const { length, start } = header(block)
  const output = Buffer.allocUnsafeSlow(length)
  const end = block.length
  let from = start
  let to = 0
  let offset = 0

  while (from < end) {
    const tag = block[from] as number
    let count: number
    if ((tag & 3) === 0) {
      count = (tag >>> 2) + 1
      from++
      if (count > 60) {
        const lengthBytes = count - 60
        if (from + lengthBytes > end) throw damaged('a block ends in a literal length')
        count = block.readUIntLE(from, lengthBytes) + 1
        from += lengthBytes
      }
      if (count > end - from || count > length - to) throw damaged('a literal is longer than its block')
      if (count < LONG_COPY) for (const stop = from + count; from < stop; ) output[to++] = block[from++] as number
      else {
        block.copy(output, to, from, from + count)
        from += count
        to += count
      }
      continue
    }

    if ((tag & 3) === 1) {
      if (from + 2 > end) throw damaged('a block ends in a copy')
      const distance = ((tag & 0xe0) << 3) | (block[from + 1] as number)
      count = (tag >>> 2) & 7
      from += 2
      if (distance !== 0) offset = distance
      else if (count > 4) {
        const lengthBytes = count - 4
        if (from + lengthBytes > end) throw damaged('a block ends in a repeat')
        count = block.readUIntLE(from, lengthBytes) + (count === 5 ? 4 : count === 6 ? 256 : 65536)
        from += lengthBytes
      }
      count += 4
    } else {
      const offsetBytes = (tag & 3) === 2 ? 2 : 4
      if (from + 1 + offsetBytes > end) throw damaged('a block ends in a copy')
      offset =
        offsetBytes === 2
          ? (block[from + 1] as number) | ((block[from + 2] as number) << 8)
          : block.readUInt32LE(from + 1)
      count = (tag >>> 2) + 1
      from += 1 + offsetBytes
    }

    if (offset === 0 || offset > to) throw damaged('a copy starts before its block')
    if (count > length - to) throw damaged('a copy is longer than its block')
    if (count >= LONG_COPY && offset >= count) {
      output.copyWithin(to, to - offset, to - offset + count)
      to += count
    } else {
      // Byte by byte and forwards: a copy may read what it has just written.
      for (const stop = to + count; to < stop; to++) output[to] = output[to - offset] as number
    }
  }
  if (to !== length) throw damaged('a block is shorter than its length says')
  return output
}
