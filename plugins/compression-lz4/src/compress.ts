import { blocksOf, mapOrdered } from '@pbmkit/core/plugin'
import { compress } from 'lz4-napi'
import { digestOf, newChecksum, STORED_BIT } from './format.js'

/** As PBM writes it: independent blocks of 4 MiB, a checksum of the content, no size; the last byte checks these. */
const FRAME_HEADER = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x64, 0x70, 0xb9])
const BLOCK_BYTES = 4 * 1024 * 1024
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
