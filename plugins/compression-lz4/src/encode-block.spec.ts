import assert from 'node:assert/strict'
import fc from 'fast-check'
import { uncompressSync } from 'lz4-napi'
import { encodeBlock } from './encode-block.js'

/** What the native library makes of a block. */
function decoded(block: Buffer, size: number): Buffer {
  const sized = Buffer.alloc(4 + block.length)
  sized.writeUInt32LE(size)
  block.copy(sized, 4)
  return uncompressSync(sized)
}

const words = fc
  .array(fc.constantFrom('alpha', 'beta', 'gamma', 'delta', '\0\0\0\0\0\0\0\0', 'x'), { maxLength: 4000, size: 'max' })
  .map((all) => Buffer.from(all.join('')))

describe('encodeBlock', () => {
  it('is read by the native decoder, at every depth', () => {
    fc.assert(
      fc.property(
        fc.oneof(words, fc.uint8Array({ maxLength: 3000 })),
        fc.integer({ min: 1, max: 16 }),
        (bytes, depth) => {
          assert.equal(Buffer.compare(decoded(encodeBlock(bytes, depth), bytes.length), bytes), 0)
        },
      ),
      { numRuns: 200 },
    )
  })

  for (const size of [0, 1, 4, 11, 12, 13, 14, 17, 18, 300, 65_535, 65_536, 70_000, 262_144]) {
    it(`writes ${size} equal bytes`, () => {
      const bytes = Buffer.alloc(size, 'x')
      const block = encodeBlock(bytes, 4)
      assert.equal(Buffer.compare(decoded(block, size), bytes), 0)
      if (size > 1000) assert.ok(block.length < size / 50)
    })
  }

  it('finds matches up to 65,535 bytes back and none farther', () => {
    const noise = Buffer.from(
      Array.from({ length: 70_000 }, (_, index) => Math.imul(index ^ (index >>> 3), 0x9e3779b1) >>> 24),
    )
    for (const gap of [65_000, 65_535 - 1000, 65_600]) {
      const bytes = Buffer.concat([
        noise.subarray(0, 1000),
        noise.subarray(1000, 1000 + gap),
        noise.subarray(0, 1000),
        Buffer.alloc(20),
      ])
      assert.equal(Buffer.compare(decoded(encodeBlock(bytes, 16), bytes.length), bytes), 0)
    }
  })

  it('gets smaller the deeper it looks', () => {
    const bytes = Buffer.from(
      Array.from({ length: 20_000 }, (_, index) => `${(index * 7919) % 1009} item ${(index * 31) % 97};`).join(''),
    )
    const sizes = [1, 4, 16].map((depth) => encodeBlock(bytes, depth).length)
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => b - a),
    )
  })
})
