import { PluginError } from '../plugin/errors.js'
import { truncated } from './codec.js'
import { blocksOf } from './streams.js'
import { noteBufferMade } from './young-buffers.js'

/** An `ENCRYPTION_TAMPERED` error: `what` says which part of which format is wrong. */
export function tampered(what: string, cause?: unknown): PluginError {
  return new PluginError('ENCRYPTION_TAMPERED', what, cause === undefined ? {} : { cause })
}

/** Small blocks go to the storage together: on the way to it each piece costs more than the copy of its bytes. */
const PIECE_BYTES = 256 * 1024

/**
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over any authenticated cipher: the nonce of a block
 * holds its number and whether it is the last, so that blocks can't be swapped, doubled, dropped or cut off unseen. Only
 * the last block may be shorter than `size`, and only the last of an empty object is empty. `seal` gives what it adds and
 * the ciphertext apart, to spare a copy of every byte.
 */
export async function* sealBlocks(
  source: AsyncIterable<Uint8Array>,
  size: number,
  seal: (block: Uint8Array, index: number, last: boolean) => readonly Buffer[],
): AsyncGenerator<Buffer> {
  let index = 0
  let held: Buffer = Buffer.alloc(0)
  let sealed: Buffer[] = []
  let bytes = 0
  const keep = (part: Buffer): void => {
    if (part.length === 0) return
    noteBufferMade(part.length)
    sealed.push(part)
    bytes += part.length
  }
  for await (const block of blocksOf(source, size)) {
    if (held.length > 0) seal(held, index++, false).forEach(keep)
    held = block
    if (bytes < PIECE_BYTES) continue
    yield* size < PIECE_BYTES ? [join(sealed, bytes)] : sealed
    sealed = []
    bytes = 0
  }
  seal(held, index, true).forEach(keep)
  yield join(sealed, bytes)
}

function join(sealed: readonly Buffer[], bytes: number): Buffer {
  noteBufferMade(bytes)
  return Buffer.concat(sealed, bytes)
}

export interface SealedBlocks {
  /** Of the bytes in a block before sealing. */
  readonly size: number
  /** What sealing adds to each. */
  readonly overhead: number
  /** For messages: 'object sealed by x'. */
  readonly format: string
  /** Gives undefined for a block that does not authenticate; any other failure throws. */
  readonly open: (sealed: Uint8Array, index: number, last: boolean) => Buffer | undefined
}

/** The reverse of {@link sealBlocks}. Throws `CODEC_TRUNCATED` and `ENCRYPTION_TAMPERED`. */
export async function* openBlocks(
  source: AsyncIterable<Uint8Array>,
  { size, overhead, format, open }: SealedBlocks,
): AsyncGenerator<Buffer> {
  let index = 0
  let held: Buffer | undefined
  for await (const block of blocksOf(source, size + overhead)) {
    if (held !== undefined) {
      const opened = open(held, index, false)
      if (opened === undefined) throw tampered(`block ${index} of the ${format} is altered or not in its place`)
      index++
      noteBufferMade(opened.length)
      yield opened
    }
    held = block
  }
  if (held === undefined || held.length < overhead) throw truncated(`the ${format} is cut off in block ${index}`)
  const last = open(held, index, true)
  if (last === undefined) {
    // A whole block that is not the last one: what came after it is gone.
    if (open(held, index, false) !== undefined) throw truncated(`the ${format} is cut off after block ${index}`)
    throw tampered(`the ${format} is altered or cut off in block ${index}`)
  }
  if (last.length === 0 && index > 0) throw tampered(`the ${format} ends in an empty block`)
  if (last.length > 0) yield last
}

/** What a {@link ByteReader} has not given yet, in chunks of at most `most` bytes. */
export async function* restOf(
  reader: { atEnd(): Promise<boolean>; takeSome(most: number): Promise<Buffer> },
  most = 1024 * 1024,
): AsyncGenerator<Buffer> {
  while (!(await reader.atEnd())) yield await reader.takeSome(most)
}
