import assert from 'node:assert/strict'
import { sample } from '../compression-samples.js'
import { cipherOf, type EncryptionBench, sealed, shapeOf, taken } from './fixture.js'

export function secrecyCases(bench: EncryptionBench): void {
  const { it } = bench

  it('shows nothing of the content', async () => {
    const bytes = sample('documents', 300_000)
    const packed = await sealed(await cipherOf(bench), bytes)
    for (let at = 0; at + 16 <= bytes.length; at += 997) {
      assert.ok(!packed.includes(bytes.subarray(at, at + 16)), `the bytes from ${at} on stand in the sealed object`)
    }
  })

  it('shows nothing of a short content', async () => {
    const packed = await sealed(await cipherOf(bench), Buffer.from('customers.payments'))
    assert.ok(!packed.includes('payments'))
  })

  it('seals the same content differently each time', async () => {
    const cipher = await cipherOf(bench)
    const bytes = sample('zeros', 200_000)
    const [one, other] = [await sealed(cipher, bytes), await sealed(cipher, bytes)]
    const { header } = await shapeOf(cipher)
    for (let at = header; at + 16 <= one.length; at += 16) {
      assert.ok(
        !one.subarray(at, at + 16).equals(other.subarray(at, at + 16)),
        `both have the same bytes from ${at} on`,
      )
    }
  })

  it('seals alike blocks of one object differently', async () => {
    const cipher = await cipherOf(bench)
    const shape = await shapeOf(cipher)
    const { blocks } = taken(await sealed(cipher, Buffer.alloc(3 * shape.block)), shape)
    const heads = new Set(blocks.map((block) => block.toString('hex', 0, 32)))
    assert.equal(heads.size, blocks.length, 'two blocks of zeros look the same')
  })

  it('never uses a key stream twice', async () => {
    const cipher = await cipherOf(bench)
    const shape = await shapeOf(cipher)
    const bytes = sample('random', 2 * shape.block)
    const [one, other] = [await sealed(cipher, bytes), await sealed(cipher, Buffer.alloc(2 * shape.block))]
    const streams = [...taken(one, shape).blocks, ...taken(other, shape).blocks].map((block, index) => {
      const plain = index < 2 ? bytes.subarray(index * shape.block, index * shape.block + 32) : Buffer.alloc(32)
      return Buffer.from(plain.map((byte, at) => byte ^ (block[at] ?? 0))).toString('hex')
    })
    assert.equal(new Set(streams).size, streams.length, 'content can be told from the difference of two objects')
  })

  it('adds little to an object', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, sample('random', 4_000_000))
    assert.ok(packed.length < 4_000_000 * 1.01, `4000000 bytes became ${packed.length}`)
    const small = await sealed(cipher, Buffer.from('x'))
    assert.ok(small.length < 4096, `1 byte became ${small.length}`)
  })
}
