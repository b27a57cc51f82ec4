import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { WrappingKey } from '@pbmkit/core/plugin'
import { sameBytes } from '../compression-checks.js'
import { collect, inChunks, sample } from '../compression-samples.js'
import { cipherOf, context, DAMAGED, type EncryptionBench, NO_KEY, opened, refusal, sealed } from './fixture.js'

const HEAD_BYTES = 1024

function newKey(): WrappingKey {
  return { id: randomBytes(16).toString('hex'), secret: randomBytes(32) }
}

export function wrappingCases(bench: EncryptionBench): void {
  const { it, plugin } = bench
  const bytes = sample('mixed', 900_000)
  const givenBy = (key: WrappingKey) => ({
    wrappingKey: async (id: string) => (id === key.id ? key.secret : undefined),
  })

  it('round trip under a wrapping key', async () => {
    const cipher = await cipherOf(bench)
    const under = newKey()
    const packed = await collect(cipher.seal(inChunks(bytes, 65_000), { under }))
    sameBytes(await collect(cipher.open(inChunks(packed, 12_345), givenBy(under))), bytes)
  })

  it('round trip of no bytes under a wrapping key', async () => {
    const cipher = await cipherOf(bench)
    const under = newKey()
    const packed = await sealed(cipher, Buffer.alloc(0), { under })
    sameBytes(await opened(cipher, packed, givenBy(under)), Buffer.alloc(0))
  })

  it('opens with the wrapping key alone, whatever key is configured', async () => {
    const under = newKey()
    const packed = await sealed(await cipherOf(bench), bytes, { under })
    const other = await plugin.open(await bench.otherOptions(), context)
    sameBytes(await opened(other, packed, givenBy(under)), bytes)
  })

  it('tells the id of the wrapping key from the beginning of an object', async () => {
    const under = newKey()
    const packed = await sealed(await cipherOf(bench), bytes, { under })
    assert.deepEqual(plugin.keysOf?.(packed.subarray(0, HEAD_BYTES)), [under.id])
  })

  it('asks for the wrapping key that the object names', async () => {
    const cipher = await cipherOf(bench)
    const under = newKey()
    const asked: string[] = []
    await opened(cipher, await sealed(cipher, bytes, { under }), {
      wrappingKey: async (id) => {
        asked.push(id)
        return under.secret
      },
    })
    assert.deepEqual(asked, [under.id])
  })

  it('refuses an object whose wrapping key nobody has', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, bytes, { under: newKey() })
    await refusal(cipher, packed, bytes, NO_KEY, 'nobody was asked')
    await refusal(cipher, packed, bytes, NO_KEY, 'nobody knew', { wrappingKey: async () => undefined })
  })

  it('refuses an object whose wrapping key is another one', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, bytes, { under: newKey() })
    const codes = [...NO_KEY, ...DAMAGED]
    await refusal(cipher, packed, bytes, codes, 'another secret', { wrappingKey: async () => randomBytes(32) })
  })

  it('passes on why a wrapping key could not be had', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, bytes, { under: newKey() })
    const failure = new Error('the storage is away')
    const wrappingKey = () => Promise.reject(failure)
    await assert.rejects(opened(cipher, packed, { wrappingKey }), (error) => error === failure)
  })

  it('has nothing of the wrapping key in the object', async () => {
    const under = newKey()
    const packed = await sealed(await cipherOf(bench), bytes, { under })
    assert.ok(!packed.includes(Buffer.from(under.secret)))
  })
}
