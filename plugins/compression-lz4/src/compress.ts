import { BLOCKS_IN_FLIGHT, blocksOf, mapOrdered } from '@pbmkit/core/plugin/kit'
import { type BlockEncoder, encoderOf } from './encoders.js'
import { digestOf, newChecksum, STORED_BIT } from './format.js'

/**
 * As PBM writes it, but for the block size: independent blocks of 256 KiB instead of 4 MiB, a checksum of the content,
 * no size; the last byte checks these. LZ4 looks back 64 KiB only, so that smaller blocks cost half a percent of the
 * ratio; in return memory is a fraction, and small objects are packed in parallel too.
 */
const FRAME_HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x64, 0x50, 0x08])
const BLOCK_BYTES = 256 * 1024

/** One frame, its blocks compressed in parallel. PBM: storage-format.md §5. */
export async function* compressLz4(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  const checksum = await newChecksum()
  const encode = encoderOf(level)
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const block of blocksOf(source, BLOCK_BYTES)) {
      checksum.update(block)
      yield block
    }
  }
  yield FRAME_HEADER
  yield* mapOrdered(summed(), BLOCKS_IN_FLIGHT, (block) => framedBlock(block, encode))
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(digestOf(checksum), 4)
  yield trailer
}

async function framedBlock(block: Buffer, encode: BlockEncoder): Promise<Buffer> {
  const encoded = await encode(block)
  const smaller = encoded.length < block.length
  const field = Buffer.alloc(4)
  field.writeUInt32LE(smaller ? encoded.length : (block.length | STORED_BIT) >>> 0)
  return Buffer.concat([field, smaller ? encoded : block])
}
