import { constants, createZstdDecompress } from 'node:zlib'
import { ByteReader, corrupt, throughDuplex, truncated } from '@pbmkit/core/plugin'
import { frameBytes, nextFrame } from './frames.js'

/** The largest window a frame may ask for: 2^29 bytes, what PBM's own reader takes. */
const WINDOW_LOG_MAX = 29

/** Reads any number of frames, skippable ones between them; anything else behind a frame is refused. */
export async function* decompressZstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, 'zstd stream')
  try {
    if (await reader.atEnd()) throw truncated('The zstd stream is empty: even no content takes a frame')
    for (;;) {
      const magic = await nextFrame(reader)
      if (magic === undefined) return
      const decoder = createZstdDecompress({
        chunkSize: 256 * 1024,
        params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
      })
      yield* throughDuplex(frameBytes(reader, magic), decoder, named)
    }
  } finally {
    await reader.close()
  }
}

function named(error: unknown): unknown {
  // The walk over the frames has seen this one's end, so that a decoder which wants more has met wrong bytes.
  if ('code' in (error as object)) return corrupt(`The zstd stream is damaged: ${(error as Error).message}`, error)
  return error
}
