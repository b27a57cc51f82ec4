import assert from 'node:assert/strict'
import { hasCode, type PluginErrorCode } from '@pbmkit/core/plugin'
import { compressFrameSync, compressSync, decompressFrameSync } from 'lz4-napi'
import { digestOf, newChecksum } from './format.js'
import lz4 from './index.js'

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

const read = (...parts: Uint8Array[]) => collect(lz4.decompress(chunks(...parts)))

async function refused(code: PluginErrorCode, ...parts: Uint8Array[]): Promise<void> {
  await assert.rejects(read(...parts), (error) => hasCode(error, code))
}

const u32 = (value: number) => {
  const field = Buffer.alloc(4)
  field.writeUInt32LE(value)
  return field
}

/** A frame head with these flags, block code and further fields, and a right checksum. */
async function head(flags: number, block = 0x40, ...fields: Buffer[]): Promise<Buffer> {
  const descriptor = Buffer.concat([Buffer.from([flags, block]), ...fields])
  const checksum = (digestOf((await newChecksum()).update(descriptor)) >>> 8) & 0xff
  return Buffer.concat([u32(0x184d2204), descriptor, Buffer.from([checksum])])
}

const text = Buffer.from('some content, some content, some more content')
const packed = compressSync(text).subarray(4)
const block = Buffer.concat([u32(packed.length), packed])
const end = u32(0)
const VERSION = 0x40
const INDEPENDENT = 0x20
const BLOCK_CHECKSUMS = 0x10
const CONTENT_SIZE = 0x08
const CONTENT_CHECKSUM = 0x04
const DICTIONARY = 0x01

describe('lz4', () => {
  it("writes PBM's kind of frame: independent blocks, a checksum of the content", async () => {
    const bytes = Buffer.alloc(700_000, 'content')
    const written = await collect(lz4.compress(chunks(bytes)))
    assert.equal(written.subarray(0, 7).toString('hex'), '04224d18645008')
    assert.deepEqual(decompressFrameSync(written), bytes)
  })

  it('writes one empty frame for nothing', async () => {
    const written = await collect(lz4.compress(chunks()))
    assert.equal(written.toString('hex'), '04224d1864500800000000055dcc02')
  })

  it('reads frames of the native library, with checksums of blocks or without', async () => {
    const bytes = Buffer.alloc(300_000, 'content')
    for (const blockChecksums of [true, false]) {
      for (const contentChecksum of [true, false]) {
        assert.deepEqual(await read(compressFrameSync(bytes, { blockChecksums, contentChecksum })), bytes)
      }
    }
  })

  it('skips skippable frames', async () => {
    const skippable = Buffer.concat([u32(0x184d2a5f), u32(text.length), text])
    const frame = compressFrameSync(text)
    assert.equal((await read(skippable, frame, skippable, frame)).toString(), `${text}${text}`)
    await refused('CODEC_TRUNCATED', frame, skippable.subarray(0, -1))
  })

  it('reads legacy frames, also followed by others', async () => {
    const legacy = Buffer.concat([u32(0x184c2102), block, block])
    const all = await read(legacy, legacy, compressFrameSync(text), legacy)
    assert.equal(all.toString(), `${text}`.repeat(7))
    await refused('CODEC_TRUNCATED', legacy.subarray(0, -1))
  })

  it('reads stored blocks and tells the size that a frame claims from the one it has', async () => {
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(text.length * 2))
    const stored = Buffer.concat([u32((text.length | 0x80000000) >>> 0), text])
    const frame = await head(VERSION | INDEPENDENT | CONTENT_SIZE, 0x40, size)
    assert.equal((await read(frame, stored, block, end)).toString(), `${text}${text}`)
    await refused('CODEC_CORRUPT', frame, stored, end)
  })

  it('refuses wrong checksums, of the head, of a block, of the content', async () => {
    const wrongHead = await head(VERSION | INDEPENDENT)
    wrongHead.writeUInt8(wrongHead.readUInt8(6) ^ 1, 6)
    await refused('CODEC_CORRUPT', wrongHead, block, end)
    await refused('CODEC_CORRUPT', await head(VERSION | INDEPENDENT | BLOCK_CHECKSUMS), block, u32(1), end)
    await refused('CODEC_CORRUPT', await head(VERSION | INDEPENDENT | CONTENT_CHECKSUM), block, end, u32(1))
  })

  it('refuses heads that the format does not have, and dictionaries', async () => {
    await refused('CODEC_CORRUPT', await head(0x80 | INDEPENDENT), block, end)
    await refused('CODEC_CORRUPT', await head(VERSION | 0x02), block, end)
    await refused('CODEC_CORRUPT', await head(VERSION, 0x30), block, end)
    await refused('CODEC_CORRUPT', await head(VERSION, 0x41), block, end)
    await refused('CODEC_CORRUPT', await head(VERSION | DICTIONARY, 0x40, u32(7)), block, end)
  })

  it('refuses blocks larger than the head allows', async () => {
    const frame = await head(VERSION | INDEPENDENT)
    await refused('CODEC_CORRUPT', frame, u32(64 * 1024 + 1), Buffer.alloc(70_000), end)
    const large = compressSync(Buffer.alloc(64 * 1024 + 1)).subarray(4)
    await refused('CODEC_CORRUPT', frame, u32(large.length), large, end)
  })
})
