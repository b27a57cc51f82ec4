import { promisify } from 'node:util'
import { constants, createZstdDecompress, type ZstdOptions, zstdDecompress } from 'node:zlib'
import { BLOCKS_IN_FLIGHT, ByteReader, corrupt, mapOrdered, throughDuplex, truncated } from '@pbmkit/core/plugin/kit'
import { type Frame, frameBytes, nextFrame } from './frames.js'

const decompressFrame = promisify<Buffer, ZstdOptions, Buffer>(zstdDecompress)

/** The largest window a frame may ask for: 2^29 bytes, what PBM's own reader takes. */
const WINDOW_LOG_MAX = 29
const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX }

/** Frames of at most so much content, as this plugin writes them, are decompressed whole and in parallel. */
const SMALL_FRAME_BYTES = 8 * 1024 * 1024

interface WholeFrame {
  readonly bytes: Buffer
  readonly contentSize: number
}

/** Reads any number of frames, skippable ones between them; anything else behind a frame is refused. */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, 'zstd stream')
  let large: Frame | undefined

  /** Until the stream ends, or a frame comes that is large or does not tell its size. */
  async function* smallFrames(): AsyncGenerator<WholeFrame> {
    for (let frame = await nextFrame(reader); frame !== undefined; frame = await nextFrame(reader)) {
      const { contentSize } = frame
      if (contentSize === undefined || contentSize > SMALL_FRAME_BYTES) {
        large = frame
        return
      }
      yield { bytes: await wholeFrame(reader, frame), contentSize }
    }
  }

  try {
    if (await reader.atEnd()) throw truncated('The zstd stream is empty: even no content takes a frame')
    do {
      large = undefined
      for await (const bytes of mapOrdered(smallFrames(), BLOCKS_IN_FLIGHT, decompressWhole))
        if (bytes.length > 0) yield bytes
      if (large !== undefined) {
        const decoder = createZstdDecompress({ chunkSize: 256 * 1024, params })
        yield* throughDuplex(frameBytes(reader, large), decoder, named)
      }
    } while (large !== undefined)
  } finally {
    await reader.close()
  }
}

async function wholeFrame(reader: ByteReader, frame: Frame): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of frameBytes(reader, frame)) {
    pieces.push(piece)
    size += piece.length
    // No writer makes content grow like this; a frame of endless empty blocks would fill memory.
    if (size > 2 * SMALL_FRAME_BYTES) throw corrupt('The zstd stream is damaged: a frame is longer than its content')
  }
  return Buffer.concat(pieces, size)
}

async function decompressWhole({ bytes, contentSize }: WholeFrame): Promise<Buffer> {
  try {
    // One byte more than the content: zlib asks for more room whenever a chunk is full.
    return await decompressFrame(bytes, {
      params,
      chunkSize: Math.max(1024, contentSize + 1),
      maxOutputLength: SMALL_FRAME_BYTES,
    })
  } catch (error) {
    throw named(error)
  }
}

/** The walk over the frames has seen this one's end: a decoder that wants more has met wrong bytes. */
function named(error: unknown): unknown {
  if (error instanceof Error && 'code' in error) return corrupt(`The zstd stream is damaged: ${error.message}`, error)
  return error
}
