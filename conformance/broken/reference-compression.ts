import { createGunzip, createGzip, type Gunzip, type Gzip } from 'node:zlib'
import { type CompressionPlugin, hasCode } from '@pbmkit/core/plugin'
import { checkedLevel, corrupt, throughDuplex, truncated } from '@pbmkit/core/plugin/kit'

const levels = { min: 1, max: 9, default: 6 }

function named(error: unknown): unknown {
  const code = String((error as { code?: unknown }).code)
  if (code === 'Z_BUF_ERROR') return truncated('cut', error)
  return code.startsWith('Z_') ? corrupt('damaged', error) : error
}

async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let received = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      received += chunk.length
      yield chunk
    }
  }
  const duplex: Gunzip = createGunzip()
  yield* throughDuplex(counted(), duplex, named)
  if (duplex.bytesWritten !== received) throw corrupt('more behind the end')
}

function gzip(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Uint8Array> {
  const duplex: Gzip = createGzip({ level })
  return throughDuplex(source, duplex)
}

/** A right codec, as plain as can be: the broken ones differ from it in one thing each. */
export const reference: CompressionPlugin = {
  kind: 'compression',
  name: 'reference',
  apiVersion: 1,
  suffix: '.gz',
  levels,
  compress: (source, options = {}) => gzip(source, checkedLevel('reference', levels, options.level)),
  decompress: gunzip,
}

/** Whether `error` says that the stream is damaged or cut. */
export function isDamage(error: unknown): boolean {
  return hasCode(error, 'CODEC_CORRUPT') || hasCode(error, 'CODEC_TRUNCATED')
}
