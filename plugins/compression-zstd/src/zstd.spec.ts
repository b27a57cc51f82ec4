import assert from 'node:assert/strict'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { hasCode } from '@pbmkit/core/plugin'
import { strengthOf } from './compress.js'
import zstd from './index.js'

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

const read = (...parts: Uint8Array[]) => collect(zstd.decompress(chunks(...parts)))

function skippable(content: Buffer, nibble = 0): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a50 + nibble, 0)
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, content])
}

const text = Buffer.from('some content, some content, some more content')

describe('zstd', () => {
  it("folds levels into PBM's four classes", () => {
    const levels = [-7, 0, 1, 2, 3, 4, 5, 6, 9, 10, 22].map((level) => strengthOf(level).level)
    assert.deepEqual(levels, [1, 1, 1, 1, 3, 3, 3, 7, 7, 11, 11])
  })

  it('writes frames with a checksum and their size, and one for nothing', async () => {
    for (const bytes of [Buffer.alloc(0), text, Buffer.alloc(5_000_000, 'x')]) {
      const packed = await collect(zstd.compress(chunks(bytes)))
      assert.equal(packed.readUInt32LE(), 0xfd2fb528)
      const flags = packed.readUInt8(4)
      assert.ok((flags & 4) !== 0, 'a checksum')
      assert.ok((flags & 0xe0) !== 0, 'its size')
      assert.deepEqual(zstdDecompressSync(packed), bytes)
    }
  })

  it('skips skippable frames of every magic number, before, between and behind others', async () => {
    const frame = zstdCompressSync(text)
    const skipped = Array.from({ length: 16 }, (_, nibble) => skippable(Buffer.alloc(nibble * 5000, 0xb5), nibble))
    const all = await read(...skipped, frame, ...skipped, frame, ...skipped)
    assert.equal(all.toString(), `${text}${text}`)
    await assert.rejects(read(frame, skippable(text).subarray(0, -1)), (error) => hasCode(error, 'CODEC_TRUNCATED'))
  })

  it('reads frames that do not tell their size, that are large, and small ones among them', async () => {
    const large = Buffer.alloc(20_000_000, 'a large frame')
    const sized = zstdCompressSync(large, { pledgedSrcSize: large.length })
    const small = zstdCompressSync(text, { pledgedSrcSize: text.length })
    const all = await read(small, sized, small, small, zstdCompressSync(large), small)
    assert.equal(Buffer.compare(all, Buffer.concat([text, large, text, text, large, text])), 0)
  })

  it('reads single-segment frames with size fields of each length', async () => {
    for (const size of [0, 1, 255, 256, 257, 65_791, 65_792, 70_000]) {
      const bytes = Buffer.alloc(size, 'size')
      assert.deepEqual(await read(zstdCompressSync(bytes, { pledgedSrcSize: size })), bytes)
    }
  })

  it('reads windows of 64 MiB', async () => {
    const params = { [constants.ZSTD_c_windowLog]: 26 }
    assert.deepEqual(await read(zstdCompressSync(text, { params })), text)
  })
})
