import { blocksOf, mapOrdered } from '@pbmkit/core/plugin'
import { compress } from 'lz4-napi'
import { digestOf, newChecksum, STORED_BIT } from './format.js'

/**
 * As PBM writes it, but for the block size: independent blocks of 256 KiB instead of 4 MiB, a checksum of the content,
 * no size; the last byte checks these. LZ4 looks back 64 KiB only, so that smaller blocks cost half a percent of the
 * ratio; in return memory is a fraction, and small objects are packed in parallel too.
 */
const FRAME_HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x64, 0x50, 0x08])
const BLOCK_BYTES = 256 * 1024
const IN_FLIGHT = 4
/** lz4-napi writes the uncompressed length in front of a block. */
const LENGTH_BYTES = 4

/** One frame, its blocks compressed in parallel. PBM: storage-format.md §5. */
export async function* compressLz4(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const checksum = await newChecksum()
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const block of blocksOf(source, BLOCK_BYTES)) {
      checksum.update(block)
      yield block
    }
  }
  yield FRAME_HEADER
  yield* mapOrdered(summed(), IN_FLIGHT, framedBlock)
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(digestOf(checksum), 4)
  yield trailer
}

async function framedBlock(block: Buffer): Promise<Buffer> {
  const packed = await compress(block)
  const saved = packed.length - LENGTH_BYTES < block.length
  const framed = saved ? packed : Buffer.concat([Buffer.alloc(LENGTH_BYTES), block])
  // The place of one length takes the other: no copy of the block.
  framed.writeUInt32LE(saved ? packed.length - LENGTH_BYTES : (block.length | STORED_BIT) >>> 0)
  return framed
}
