import type { TransformOptions } from 'node:stream'
import { promisify } from 'node:util'
import { constants, createZstdCompress, type ZstdCompress, type ZstdOptions, zstdCompress } from 'node:zlib'
import { BLOCKS_IN_FLIGHT, blocksOf, mapOrdered } from '@pbmkit/core/plugin/kit'

const compressFrame = promisify<Buffer, ZstdOptions, Buffer>(zstdCompress)

const MIB = 1024 * 1024

/** What one of PBM's encoder classes means in libzstd's terms. */
interface Strength {
  readonly level: number
  /** Bytes of input a frame: as much as PBM's window looks back, and never more than 8 MiB to bound memory. */
  readonly frameBytes: number
  /** Chunks from here on are frames as they come, which saves copying them. */
  readonly leastBytes: number
}

/** PBM folds levels into four classes: below 3, 3 to 5, 6 to 9, from 10. PBM: cli-and-config.md §3.3. */
export function strengthOf(level: number): Strength {
  const fast = { frameBytes: 2 * MIB, leastBytes: MIB }
  // Whoever asks for more wants it small.
  const small = { frameBytes: 8 * MIB, leastBytes: 8 * MIB }
  if (level < 3) return { level: 1, ...fast }
  if (level < 6) return { level: 3, ...fast }
  if (level < 10) return { level: 7, ...small }
  return { level: 11, ...small }
}

/**
 * One frame for each few MiB of input, compressed in parallel, each with its size and a checksum. Nothing of the input
 * gives one empty frame, as PBM writes it.
 */
export async function* compressZstd(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  const strength = strengthOf(level)
  const free: FrameEncoder[] = []
  const encode = async (block: Buffer) => {
    const encoder = free.pop() ?? new FrameEncoder(strength)
    const frame = await encoder.encode(block)
    free.push(encoder)
    return frame
  }
  const blocks = blocksOf(source, strength.frameBytes, strength.leastBytes)
  let frames = 0
  try {
    for await (const bytes of mapOrdered(blocks, BLOCKS_IN_FLIGHT, encode)) {
      frames++
      yield bytes
    }
    if (frames === 0) yield await emptyFrame(strength.level)
  } finally {
    for (const encoder of free) encoder.close()
  }
}

/** Makes one frame after the other with one libzstd context: to make and fill a new one costs a sixth of the work. */
class FrameEncoder {
  readonly #stream: ZstdCompress

  constructor({ level, frameBytes }: Strength) {
    const options: ZstdOptions & Pick<TransformOptions, 'readableHighWaterMark'> = {
      params: paramsOf(level),
      // Every write is a frame of its own, and tells its size in its header since its end comes with it.
      flush: constants.ZSTD_e_end,
      chunkSize: roomFor(frameBytes),
      // A frame is taken as a whole: it must never wait for somebody to read the first part of it.
      readableHighWaterMark: 4 * frameBytes,
    }
    this.#stream = createZstdCompress(options)
    // Told by the write that it fails.
    this.#stream.on('error', () => undefined)
  }

  async encode(block: Buffer): Promise<Buffer> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(block, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(error)
      })
    })
    return this.#stream.read() as Buffer
  }

  close(): void {
    this.#stream.destroy()
  }
}

async function emptyFrame(level: number): Promise<Buffer> {
  return await compressFrame(Buffer.alloc(0), { params: paramsOf(level), pledgedSrcSize: 0 })
}

function paramsOf(level: number): Record<number, number> {
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
}

/** The worst case, so that one trip to a thread does the whole frame. */
function roomFor(bytes: number): number {
  return bytes + (bytes >> 8) + 1024
}
