import assert from 'node:assert/strict'
import { decodeBlock } from '@pbmkit/framing-snappy'
import fc from 'fast-check'
import { ElementWriter } from './element-writer.js'
import { encodeBlock, LARGEST_BLOCK } from './encode-block.js'

const words = fc
  .array(fc.constantFrom('alpha', 'beta', 'gamma', 'delta', '\0\0\0\0\0\0\0\0', 'x'), { maxLength: 4000, size: 'max' })
  .map((all) => Buffer.from(all.join('')))

function same(bytes: Uint8Array, depth: number): Buffer {
  const block = encodeBlock(bytes, depth)
  assert.equal(Buffer.compare(decodeBlock(block), bytes), 0)
  return block
}

const noise = Buffer.from(
  Array.from({ length: 200_000 }, (_, index) => Math.imul(index ^ (index >>> 3), 0x9e3779b1) >>> 24),
)

describe('encodeBlock', () => {
  it('is read by the decoder, at every depth', () => {
    fc.assert(
      fc.property(fc.oneof(words, fc.uint8Array({ maxLength: 3000 })), fc.constantFrom(1, 6, 32), (bytes, depth) => {
        same(bytes, depth)
      }),
      { numRuns: 200 },
    )
  })

  for (const size of [0, 1, 3, 4, 5, 60, 61, 65, 69, 300, 65_536, 70_000, LARGEST_BLOCK]) {
    it(`writes ${size} equal bytes`, () => {
      const block = same(Buffer.alloc(size, 'x'), 6)
      assert.ok(block.length < 20)
    })
  }

  it('finds matches all over the block', () => {
    const bytes = Buffer.concat([noise, noise])
    assert.ok(same(bytes, 6).length < noise.length + 1000)
  })

  it('grows next to nothing on noise', () => {
    assert.ok(same(noise.subarray(0, 100_000), 6).length < 101_000)
  })
})

describe('ElementWriter', () => {
  for (const offset of [1, 4, 2047, 2048, 65_535, 65_536, 150_000]) {
    it(`writes copies of every length from ${offset} back`, () => {
      const lengths = [
        4, 5, 8, 9, 11, 12, 60, 61, 63, 64, 65, 66, 67, 68, 72, 263, 264, 323, 324, 65_795, 65_796, 70_000,
      ]
      for (const length of lengths) {
        const writer = new ElementWriter(noise.length + 2 * length)
        writer.literal(noise)
        writer.copy(offset, length)
        writer.copy(offset, length)
        const expected = Buffer.concat([noise, Buffer.alloc(2 * length)])
        for (let at = noise.length; at < expected.length; at++) expected[at] = expected[at - offset] as number
        assert.equal(Buffer.compare(decodeBlock(writer.written()), expected), 0, `length ${length}`)
      }
    })
  }
})
