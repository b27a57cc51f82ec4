import { promisify } from 'node:util'
import { constants, type ZstdOptions, zstdCompress } from 'node:zlib'
import { BLOCKS_IN_FLIGHT, blocksOf, mapOrdered } from '@pbmkit/core/plugin'

const compressFrame = promisify<Buffer, ZstdOptions, Buffer>(zstdCompress)

/** What one of PBM's encoder classes means in libzstd's terms. */
interface Strength {
  readonly level: number
  /** Bytes of input a frame: as much as PBM's window looks back, and never more than 8 MiB to bound memory. */
  readonly frameBytes: number
}

/** PBM folds levels into four classes: below 3, 3 to 5, 6 to 9, from 10. PBM: cli-and-config.md §3.3. */
export function strengthOf(level: number): Strength {
  if (level < 3) return { level: 1, frameBytes: 2 * 1024 * 1024 }
  if (level < 6) return { level: 3, frameBytes: 2 * 1024 * 1024 }
  if (level < 10) return { level: 7, frameBytes: 8 * 1024 * 1024 }
  return { level: 11, frameBytes: 8 * 1024 * 1024 }
}

/**
 * One frame for each few MiB of input, compressed in parallel, each with its size and a checksum. Nothing of the input
 * gives one empty frame, as PBM writes it.
 */
export async function* compressZstd(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  const strength = strengthOf(level)
  let frames = 0
  const packed = mapOrdered(blocksOf(source, strength.frameBytes), BLOCKS_IN_FLIGHT, (block) =>
    frame(block, strength.level),
  )
  for await (const bytes of packed) {
    frames++
    yield bytes
  }
  if (frames === 0) yield await frame(Buffer.alloc(0), strength.level)
}

function frame(block: Buffer, level: number): Promise<Buffer> {
  return compressFrame(block, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: block.length,
    // Room for the worst case, so that one trip to a thread does the whole frame.
    chunkSize: block.length + (block.length >> 8) + 1024,
  })
}
