import { createDeflateRaw, createInflateRaw, gunzipSync, gzipSync } from 'node:zlib'
import { type CompressionPlugin, hasCode, PluginError } from '@pbmkit/core/plugin'
import { asBuffer, blocksOf, corrupt, throughDuplex, truncated } from '@pbmkit/core/plugin/kit'
import { isDamage, reference } from './reference-compression.js'

type Bytes = AsyncIterable<Uint8Array>

/** A codec that is wrong in one way, and the case of the suite that must find it. */
export interface BrokenCompression {
  readonly plugin: CompressionPlugin
  readonly caught: string
}

const { compress, decompress } = reference
const broken = (caught: string, fault: Partial<CompressionPlugin>): BrokenCompression => ({
  plugin: { ...reference, ...fault },
  caught,
})

async function gather(source: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Passes chunks on until an error for which `ends` holds: then it ends as if all were well. */
async function* endingAt(ends: (error: unknown) => boolean, source: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    if (!ends(error)) throw error
  }
}

/** Passes chunks on with other errors. */
async function* renaming(rename: (error: unknown) => unknown, source: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    throw rename(error)
  }
}

/** Never closes the source: it is read by hand. */
async function* unclosed(source: Bytes): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) yield step.value
}

async function* lastChunkLost(source: Bytes): AsyncGenerator<Uint8Array> {
  let before: Buffer | undefined
  for await (const chunk of blocksOf(source, 4096)) {
    if (before !== undefined) yield before
    before = chunk
  }
  if (before !== undefined && before.length < 4096) yield before
}

async function* inOneBuffer(source: Bytes): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(16 * 1024)
  for await (const chunk of blocksOf(source, buffer.length)) {
    chunk.copy(buffer)
    yield buffer.subarray(0, chunk.length)
  }
}

async function* wiping(source: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield Buffer.from(chunk)
    chunk.fill(0)
  }
}

async function* all(source: Bytes, work: (bytes: Buffer) => Buffer): AsyncGenerator<Uint8Array> {
  const bytes = work(await gather(source))
  if (bytes.length > 0) yield bytes
}

/** The first gzip member alone; whatever follows is dropped unseen. */
async function* firstMember(source: Bytes): AsyncGenerator<Uint8Array> {
  const bytes = await gather(source)
  const second = bytes.indexOf(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), 1)
  yield* decompress(pieces(second < 0 ? bytes : bytes.subarray(0, second)))
}

async function* pieces(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function* eager(source: Bytes, chunks: Promise<Buffer>): AsyncGenerator<Uint8Array> {
  void source
  yield* compress(pieces(await chunks))
}

let latest: Uint8Array = Buffer.alloc(0)
/** Keeps its state in the module: one stream's chunk may come out of another. */
async function* mixing(source: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    latest = chunk
    await new Promise((resolve) => setTimeout(resolve, 1))
    yield latest
  }
}

async function* viewsIgnored(source: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Buffer.from(chunk.buffer)
}

/** Raw DEFLATE has no checksum, so that altered literals go unnoticed. */
const withoutChecksum: Partial<CompressionPlugin> = {
  compress: (source) => throughDuplex(source, createDeflateRaw()),
  decompress: (source) =>
    throughDuplex(source, createInflateRaw(), (error) =>
      (error as { code?: unknown }).code === 'Z_BUF_ERROR' ? truncated('cut', error) : corrupt('damaged', error),
    ),
}

export const BROKEN_COMPRESSIONS: Readonly<Record<string, BrokenCompression>> = {
  'is of another kind': broken('is of the kind compression and of API version 1', {
    kind: 'storage' as unknown as 'compression',
  }),
  'has a default outside its levels': broken('has whole levels, the default between the ends', {
    levels: { min: 1, max: 9, default: -1 },
  }),
  'takes any level': broken('refuses a level outside at once: above the highest', {
    compress: (source) => compress(source),
  }),
  'refuses a level only when read': broken('refuses a level outside at once: below the lowest', {
    compress: async function* (source, options) {
      yield* compress(source, options)
    },
  }),
  'fails at its highest level': broken('round trip at level 9', {
    compress: (source, options) => compress(options?.level === 9 ? pieces() : source, options),
  }),
  'writes nothing for nothing, and does not read it': broken('round trip of no bytes', {
    compress: async function* (source, options) {
      let packed: Uint8Array[] = []
      let size = 0
      async function* counted(): AsyncGenerator<Uint8Array> {
        for await (const chunk of source) {
          size += chunk.length
          yield chunk
        }
      }
      for await (const chunk of compress(counted(), options)) packed.push(chunk)
      if (size === 0) packed = []
      yield* packed
    },
  }),
  'loses a last block that is full': broken('round trip of 4096 bytes, random', {
    compress: (source, options) => compress(lastChunkLost(source), options),
  }),
  'does not compress': broken('makes documents smaller at its default level', {
    compress: (source) => all(source, (bytes) => gzipSync(bytes, { level: 0 })),
  }),
  'reads past the ends of a view': broken('takes plain Uint8Arrays that are views into larger memory', {
    compress: (source, options) => compress(viewsIgnored(source), options),
  }),
  'wipes its input': broken('leaves the chunks of its source as they are', {
    compress: (source, options) => compress(wiping(source), options),
  }),
  'gives the same buffer again and again': broken('gives chunks that stay as they are', {
    decompress: (source) => inOneBuffer(decompress(source)),
  }),
  'gives an object in one chunk': broken('never gives an empty or a giant chunk', {
    decompress: (source) =>
      all(source, (bytes) => {
        try {
          return gunzipSync(bytes)
        } catch (error) {
          throw corrupt('damaged', error)
        }
      }),
  }),
  'mixes streams': broken('keeps streams that run at the same time apart', {
    compress: (source, options) => compress(mixing(source), options),
  }),
  'reads the first of concatenated streams': broken('reads concatenated streams', { decompress: firstMember }),
  'hides the error of its source': broken('compress passes an error of its source on unchanged, after 1 chunks', {
    compress: (source, options) => endingAt(() => true, compress(source, options)),
  }),
  'calls the error of its source corrupt': broken(
    'decompress passes an error of its source on unchanged, after 1 chunks',
    {
      decompress: (source) =>
        renaming((error) => (isDamage(error) ? error : corrupt('damaged', error)), decompress(source)),
    },
  ),
  'leaves its source open': broken('compress closes its source when the reader breaks off', {
    compress: (source, options) => compress(unclosed(source), options),
  }),
  'buffers all of its source': broken('compress reads only a bounded amount ahead of its reader', {
    compress: (source, options) => compress(all(source, asBuffer), options),
  }),
  'starts before it is read': broken('compress reads nothing before its reader asks', {
    compress: (source) => eager(source, gather(source)),
  }),
  'takes a cut stream for whole': broken('refuses a stream cut at any point as truncated', {
    decompress: (source) => endingAt((error) => hasCode(error, 'CODEC_TRUNCATED'), decompress(source)),
  }),
  'calls a cut stream corrupt': broken('refuses a stream cut at any point as truncated', {
    decompress: (source) =>
      renaming((error) => (isDamage(error) ? corrupt('damaged', error) : error), decompress(source)),
  }),
  'calls a corrupt stream cut': broken('names a wrong checksum or block as corrupt', {
    decompress: (source) =>
      renaming((error) => (isDamage(error) ? truncated('cut', error) : error), decompress(source)),
  }),
  'throws errors without a code': broken('refuses what is not of its format as corrupt: text', {
    decompress: (source) => renaming((error) => (isDamage(error) ? new Error('bad data') : error), decompress(source)),
  }),
  'throws codes of its own': broken('refuses what is not of its format as corrupt: zeros', {
    decompress: (source) =>
      renaming(
        (error) => (isDamage(error) ? new PluginError('STORAGE_UNAVAILABLE', 'bad data') : error),
        decompress(source),
      ),
  }),
  'has no checksum': broken('refuses every flipped bit that would alter the content', withoutChecksum),
  'takes padding for the end': broken('refuses a stream followed by 512 zero bytes', {
    decompress: (source) => endingAt((error) => /more behind/.test(String(error)), decompress(source)),
  }),
  'takes whatever follows its end': broken('refuses a stream followed by text', {
    decompress: (source) => endingAt((error) => hasCode(error, 'CODEC_CORRUPT'), decompress(source)),
  }),
}
