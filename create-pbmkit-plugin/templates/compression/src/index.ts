import { createGunzip, createGzip } from 'node:zlib'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { checkedLevel, corrupt, throughDuplex, truncated } from '@pbmkit/core/plugin/kit'

const levels = { min: 1, max: 9, default: 6 }

/** A sample over zlib. Put the streams of your method in place of those of `node:zlib`. */
const plugin: CompressionPlugin = {
  kind: 'compression',
  name: '__NAME__',
  apiVersion: 1,
  suffix: '.__NAME__',
  levels,
  compress: (source, options = {}) => {
    // At once, and not when the first byte is asked for.
    const level = checkedLevel('__NAME__', levels, options.level)
    return throughDuplex(source, createGzip({ level }))
  },
  decompress,
}

async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let received = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      received += chunk.length
      yield chunk
    }
  }
  const gunzip = createGunzip()
  yield* throughDuplex(counted(), gunzip, named)
  // zlib takes zeros behind the end for padding; in a backup they are damage.
  if (gunzip.bytesWritten !== received) throw corrupt('there are bytes behind the end')
}

/** The library's errors as codes that pbmkit knows. */
function named(error: unknown): unknown {
  const code = String((error as { code?: unknown }).code)
  if (code === 'Z_BUF_ERROR') return truncated('the stream ends in the middle', error)
  return code.startsWith('Z_') ? corrupt('the stream is damaged', error) : error
}

export default plugin
