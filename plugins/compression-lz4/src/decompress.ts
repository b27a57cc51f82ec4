import { BLOCKS_IN_FLIGHT, ByteReader, corrupt, mapOrdered, truncated } from '@pbmkit/core/plugin/kit'
import { uncompress, uncompressSync } from 'lz4-napi'
import {
  type Checksum,
  digestOf,
  type FrameHeader,
  headerBytes,
  LEGACY_BLOCK_BYTES,
  LEGACY_MAGIC,
  MAGIC,
  newChecksum,
  parseHeader,
  SKIPPABLE_MAGIC,
  STORED_BIT,
  WINDOW_BYTES,
} from './format.js'

/**
 * Larger blocks (PBM's, of 4 MiB) are decoded on this thread, in some milliseconds each: memory that the native library
 * allocates on another thread and frees on this one comes back late, which would triple what the process holds.
 */
const LARGEST_ON_OTHER_THREADS = 1024 * 1024

interface Block {
  readonly stored: boolean
  readonly bytes: Buffer
  readonly checksum: number | undefined
}

/** Reads any number of frames: with linked or independent blocks, legacy, skippable. */
export async function* decompressLz4(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, 'LZ4 stream')
  try {
    if (await reader.atEnd()) throw truncated('The LZ4 stream is empty: even no content takes a frame')
    let magic: number | undefined
    while (magic !== undefined || !(await reader.atEnd())) {
      magic ??= (await reader.take(4)).readUInt32LE()
      if (magic === MAGIC) {
        yield* frame(reader)
        magic = undefined
      } else if (magic === LEGACY_MAGIC) {
        magic = yield* legacyFrame(reader)
      } else if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
        await reader.skip((await reader.take(4)).readUInt32LE())
        magic = undefined
      } else {
        throw corrupt('Not an LZ4 stream: no frame starts where one must')
      }
    }
  } finally {
    await reader.close()
  }
}

async function* frame(reader: ByteReader): AsyncGenerator<Buffer> {
  const header = await readHeader(reader)
  const checksum = header.contentChecksum ? await newChecksum() : undefined
  let size = 0n
  const plain = header.independent
    ? mapOrdered(blocks(reader, header), BLOCKS_IN_FLIGHT, (block) => decodeBlock(block, header))
    : linked(blocks(reader, header), header)
  for await (const bytes of plain) {
    checksum?.update(bytes)
    size += BigInt(bytes.length)
    if (bytes.length > 0) yield bytes
  }
  if (checksum !== undefined) verify(digestOf(checksum), (await reader.take(4)).readUInt32LE(), 'the content')
  if (header.contentSize !== undefined && size !== header.contentSize) {
    throw corrupt('The LZ4 stream is damaged: a frame has not the size that its header tells')
  }
}

async function readHeader(reader: ByteReader): Promise<FrameHeader> {
  const flags = await reader.take(1)
  const bytes = Buffer.concat([flags, await reader.take(headerBytes(flags.readUInt8()) - 1)])
  const header = parseHeader(bytes)
  const checksum = (await newChecksum()).update(bytes)
  verify((digestOf(checksum) >>> 8) & 0xff, (await reader.take(1)).readUInt8(), 'a frame header')
  return header
}

async function* blocks(reader: ByteReader, header: FrameHeader): AsyncGenerator<Block> {
  for (;;) {
    const field = (await reader.take(4)).readUInt32LE()
    if (field === 0) return
    const size = (field & ~STORED_BIT) >>> 0
    if (size > header.largestBlock) throw corrupt('The LZ4 stream is damaged: a block is too large')
    const bytes = await reader.take(size)
    const checksum = header.blockChecksums ? (await reader.take(4)).readUInt32LE() : undefined
    yield { stored: field >= STORED_BIT, bytes, checksum }
  }
}

async function decodeBlock(block: Block, header: FrameHeader, window?: Buffer): Promise<Buffer> {
  if (block.checksum !== undefined) {
    verify(digestOf((await newChecksum()).update(block.bytes) as Checksum), block.checksum, 'a block')
  }
  return block.stored ? block.bytes : await decode(block.bytes, header.largestBlock, window)
}

/** Blocks that refer to the 64 KiB before them, across their borders: one after the other. */
async function* linked(source: AsyncIterable<Block>, header: FrameHeader): AsyncGenerator<Buffer> {
  let window: Buffer = Buffer.alloc(0)
  for await (const block of source) {
    const bytes = await decodeBlock(block, header, window)
    window =
      bytes.length >= WINDOW_BYTES
        ? bytes.subarray(-WINDOW_BYTES)
        : Buffer.concat([window, bytes]).subarray(-WINDOW_BYTES)
    yield bytes
  }
}

/** A legacy frame has no end mark: it ends with the stream or where another frame starts, whose magic comes back. */
async function* legacyFrame(reader: ByteReader): AsyncGenerator<Buffer, number | undefined> {
  let following: number | undefined
  async function* legacyBlocks(): AsyncGenerator<Buffer> {
    while (!(await reader.atEnd())) {
      const size = (await reader.take(4)).readUInt32LE()
      if (size === MAGIC || size === LEGACY_MAGIC || (size & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
        following = size
        return
      }
      // The worst case of LZ4 adds one byte for 255.
      if (size > LEGACY_BLOCK_BYTES + LEGACY_BLOCK_BYTES / 255 + 16) {
        throw corrupt('The LZ4 stream is damaged: a block is too large')
      }
      yield await reader.take(size)
    }
  }
  for await (const bytes of mapOrdered(legacyBlocks(), BLOCKS_IN_FLIGHT, (block) =>
    decode(block, LEGACY_BLOCK_BYTES),
  )) {
    if (bytes.length > 0) yield bytes
  }
  return following
}

/** `most`: the length that lz4-napi makes room for; it takes it from the block's first bytes. */
async function decode(block: Buffer, most: number, window?: Buffer): Promise<Buffer> {
  const dictionary = window?.length === 0 ? undefined : window
  const sized = Buffer.allocUnsafe(4 + block.length)
  sized.writeUInt32LE(most)
  block.copy(sized, 4)
  try {
    return most <= LARGEST_ON_OTHER_THREADS ? await uncompress(sized, dictionary) : uncompressSync(sized, dictionary)
  } catch (error) {
    throw corrupt('The LZ4 stream is damaged: a block can not be decoded', error)
  }
}

function verify(computed: number, stored: number, what: string): void {
  if (computed !== stored) throw corrupt(`The LZ4 stream is damaged: the checksum of ${what} does not match`)
}
