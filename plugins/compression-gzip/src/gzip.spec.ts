import assert from 'node:assert/strict'
import { gunzipSync, gzipSync } from 'node:zlib'
import { hasCode } from '@pbmkit/core/plugin'
import fc from 'fast-check'
import gzip from './index.js'

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

describe('gzip', () => {
  const large = Buffer.from(Array.from({ length: 3_500_000 }, (_, index) => ((index * index) >> 7) & 0x3f))

  it('writes one member, without a time or a name', async () => {
    const packed = await collect(gzip.compress(chunks(large)))
    assert.equal(packed.subarray(0, 10).toString('hex'), '1f8b08000000000000ff')
    assert.deepEqual(gunzipSync(packed), large)
    // The size that `gzip -l` shows.
    assert.equal(packed.readUInt32LE(packed.length - 4), large.length)
  })

  it('loses next to nothing of the ratio by working in blocks', async () => {
    const packed = await collect(gzip.compress(chunks(large)))
    assert.ok(packed.length < gzipSync(large).length * 1.01)
  })

  it('orders its levels: stored, Huffman only, fastest, smallest', async () => {
    const sizes: number[] = []
    for (const level of [0, -2, 1, 9]) sizes.push((await collect(gzip.compress(chunks(large), { level }))).length)
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    )
    assert.ok((sizes[0] ?? 0) > large.length)
  })

  it('reads headers with every optional field', async () => {
    // Extra field, name, comment and header checksum, as a gzip writer may add them; RFC 1952 §2.3.
    const plain = gzipSync(Buffer.from('content'))
    const fields = Buffer.concat([Buffer.from([3, 0, 1, 2, 3]), Buffer.from('name\0'), Buffer.from('a comment\0')])
    const header = Buffer.from(plain.subarray(0, 10))
    header.writeUInt8(4 | 8 | 16, 3)
    const packed = Buffer.concat([header, fields, plain.subarray(10)])
    assert.equal((await collect(gzip.decompress(chunks(packed)))).toString(), 'content')
  })

  it('reads what zlib writes, any number of members in any chunks', async () => {
    const members = fc.array(fc.uint8Array({ maxLength: 3000, size: 'max' }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(members, fc.integer({ min: 1, max: 400 }), async (parts, size) => {
        const packed = Buffer.concat(parts.map((part) => gzipSync(part)))
        const cut: Buffer[] = []
        for (let at = 0; at < packed.length; at += size) cut.push(packed.subarray(at, at + size))
        assert.deepEqual(await collect(gzip.decompress(chunks(...cut))), Buffer.concat(parts))
      }),
      { numRuns: 50 },
    )
  })

  it('tells a second member that is cut from one that is damaged', async () => {
    const member = gzipSync(Buffer.from('content'))
    for (let length = 1; length < member.length; length++) {
      const cut = Buffer.concat([member, member.subarray(0, length)])
      await assert.rejects(collect(gzip.decompress(chunks(cut))), (error) => hasCode(error, 'CODEC_TRUNCATED'))
    }
    const wrong = Buffer.from(member)
    wrong.writeUInt32LE(0, wrong.length - 8)
    await assert.rejects(collect(gzip.decompress(chunks(member, wrong))), (error) => hasCode(error, 'CODEC_CORRUPT'))
  })
})
