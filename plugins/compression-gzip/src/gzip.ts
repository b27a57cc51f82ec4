import { promisify } from 'node:util'
import { constants, crc32, createGunzip, deflateRaw, type ZlibOptions } from 'node:zlib'
import { BLOCKS_IN_FLIGHT, blocksOf, corrupt, mapOrdered, throughDuplex, truncated } from '@pbmkit/core/plugin/kit'

const deflate = promisify<Buffer, ZlibOptions, Buffer>(deflateRaw)

/** The block size of pgzip: large enough that what is lost at the seams does not show. */
const BLOCK_BYTES = 1024 * 1024
/** How far DEFLATE looks back: what a block gets of its predecessor as its dictionary. */
const WINDOW_BYTES = 32 * 1024
/** A final DEFLATE block without content: it closes a member whose other blocks were made independently. */
const FINAL_BLOCK = Buffer.from([0x03, 0x00])

interface Block {
  readonly bytes: Buffer
  readonly dictionary: Buffer | undefined
}

/**
 * One gzip member, like PBM's gzip and pgzip write it. DEFLATE runs on blocks in parallel: each is flushed to a byte
 * border and knows the last 32 KiB of the block before, so that joining them gives one valid stream of nearly the
 * ratio that a single thread reaches.
 */
export async function* compressGzip(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  let checksum = 0
  let size = 0

  async function* blocks(): AsyncGenerator<Block> {
    let before: Buffer | undefined
    for await (const bytes of blocksOf(source, BLOCK_BYTES)) {
      checksum = crc32(bytes, checksum)
      size = (size + bytes.length) % 2 ** 32
      yield { bytes, dictionary: before?.subarray(-WINDOW_BYTES) }
      before = bytes
    }
  }

  yield header(level)
  yield* mapOrdered(blocks(), BLOCKS_IN_FLIGHT, ({ bytes, dictionary }) =>
    deflate(bytes, settings(level, bytes, dictionary)),
  )
  const trailer = Buffer.alloc(FINAL_BLOCK.length + 8)
  FINAL_BLOCK.copy(trailer)
  trailer.writeUInt32LE(checksum, 2)
  trailer.writeUInt32LE(size, 6)
  yield trailer
}

/** No time, no name: equal input gives equal objects. Operating system 255 means unknown, as Go writes it. */
function header(level: number): Buffer {
  const speed = level === 9 ? 2 : level === 1 ? 4 : 0
  return Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, speed, 255])
}

function settings(level: number, bytes: Buffer, dictionary: Buffer | undefined): ZlibOptions {
  // Go's level -2 codes single bytes by Huffman and never looks for matches.
  const huffmanOnly = level === -2
  return {
    level: huffmanOnly ? constants.Z_DEFAULT_COMPRESSION : level,
    strategy: huffmanOnly ? constants.Z_HUFFMAN_ONLY : constants.Z_DEFAULT_STRATEGY,
    finishFlush: constants.Z_SYNC_FLUSH,
    // Room for the worst case, so that one trip to a thread does the whole block.
    chunkSize: bytes.length + (bytes.length >> 10) + 1024,
    ...(dictionary === undefined ? {} : { dictionary }),
  }
}

/** Reads any number of gzip members; bytes behind the last that are no member are refused. */
export async function* decompressGzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let received = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      received += chunk.length
      yield chunk
    }
  }
  const gunzip = createGunzip({ chunkSize: 256 * 1024 })
  yield* throughDuplex(counted(), gunzip, named)
  // zlib takes zeros behind a member for padding and stops there without a word.
  if (gunzip.bytesWritten !== received) throw corrupt('The gzip stream is followed by bytes that are not gzip')
}

function named(error: unknown): unknown {
  const code = (error as { code?: unknown }).code
  if (code === 'Z_BUF_ERROR') return truncated('The gzip stream ends in the middle', error)
  if (typeof code === 'string' && code.startsWith('Z_')) {
    return corrupt(`The gzip stream is damaged: ${(error as Error).message}`, error)
  }
  return error
}
