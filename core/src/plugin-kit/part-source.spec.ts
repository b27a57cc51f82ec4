import assert from 'node:assert/strict'
import fc from 'fast-check'
import { PartSource } from './part-source.js'

describe('the parts of a body', () => {
  it('are its bytes in order, all but the last full, also when their memory is used again', async () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(lengths, fc.integer({ min: 1, max: 300_000 }), fc.boolean(), async (sizes, partBytes, grows) => {
        const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1))
        const whole = Buffer.concat(chunks)
        async function* body(): AsyncGenerator<Uint8Array> {
          yield* chunks
        }
        const source = new PartSource(body())
        let size = Math.max(partBytes, Math.ceil(whole.length / 20))
        let at = 0
        // One part is still being sent while the next is gathered.
        let sending: Buffer = Buffer.alloc(0)
        for (;;) {
          const part = await source.next(size)
          assert.ok(sending.equals(whole.subarray(at - sending.length, at)), 'a part changed while it was sent')
          source.release(sending)
          assert.ok(part.equals(whole.subarray(at, at + size)))
          at += part.length
          sending = part
          if (part.length < size) break
          if (grows) size += 1000
        }
        assert.equal(at, whole.length)
      }),
      { numRuns: 60 },
    )
  })
})
