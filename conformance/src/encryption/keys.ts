import assert from 'node:assert/strict'
import { hasCode } from '@pbmkit/core/plugin'
import { sameBytes } from '../compression-checks.js'
import { collect, sample, whole } from '../compression-samples.js'
import { cipherOf, context, type EncryptionBench, NO_KEY, opened, refusal, sealed } from './fixture.js'

const HEAD_BYTES = 1024

export function keyCases(bench: EncryptionBench): void {
  const { it, plugin } = bench
  const bytes = sample('documents', 20_000)

  it('has another id for another key', async () => {
    const other = await plugin.open(await bench.otherOptions(), context)
    const own = new Set((await cipherOf(bench)).keyIds)
    for (const id of other.keyIds) assert.ok(!own.has(id), `two keys have the id ${id}`)
  })

  it('refuses an object that another key sealed', async () => {
    const packed = await sealed(await cipherOf(bench), bytes)
    const other = await plugin.open(await bench.otherOptions(), context)
    const { given, error } = await refusal(other, packed, bytes, NO_KEY, 'another key')
    assert.equal(given.length, 0)
    noSecret(error)
  })

  it('refuses an empty object that another key sealed', async () => {
    const packed = await sealed(await cipherOf(bench), Buffer.alloc(0))
    const other = await plugin.open(await bench.otherOptions(), context)
    await refusal(other, packed, Buffer.alloc(0), NO_KEY, 'another key')
  })

  it('says that there is no key where the options lead to none', async () => {
    const error = await plugin
      .open(await bench.missingOptions(), context)
      .then(async (cipher) => {
        // A key that only opens may be looked for when it is needed; but none may be made up.
        return await opened(cipher, await sealed(cipher, bytes))
      })
      .then(
        () => assert.fail('must be refused, but is taken'),
        (reason: unknown) => reason,
      )
    assert.ok(hasCode(error, 'ENCRYPTION_KEY_MISSING'), `the error must carry ENCRYPTION_KEY_MISSING: ${String(error)}`)
    noSecret(error)
  })

  it('shows no secret in an object', async () => {
    const packed = await collect((await cipherOf(bench)).seal(whole(bytes)))
    for (const secret of bench.secrets) assert.ok(!packed.includes(secret), 'a secret key stands in the object')
  })

  it('tells the ids of the keys from the beginning of an object, without a key', async () => {
    if (plugin.keysOf === undefined) return
    const { keyIds } = await cipherOf(bench)
    const head = (await sealed(await cipherOf(bench), bytes)).subarray(0, HEAD_BYTES)
    const told = plugin.keysOf(head)
    assert.ok(told.length === 0 || told.some((id) => keyIds.includes(id)), `${told.join()} is none of ${keyIds.join()}`)
  })

  it('tells no key of what is no sealed object', async () => {
    const { keysOf } = plugin
    if (keysOf === undefined) return
    for (const stranger of [Buffer.alloc(0), Buffer.from('plain text, not sealed at all'), sample('random', 1024)]) {
      assert.throws(
        () => keysOf(stranger),
        (error) => hasCode(error, 'ENCRYPTION_TAMPERED') || hasCode(error, 'CODEC_TRUNCATED'),
      )
    }
  })

  const { rotatedOptions } = bench
  if (rotatedOptions === undefined) return

  it('opens with a newer key in front what the older one sealed', async () => {
    const packed = await sealed(await cipherOf(bench), bytes)
    const rotated = await plugin.open(await rotatedOptions(), context)
    sameBytes(await opened(rotated, packed), bytes)
  })

  it('seals with the newer key in front, which the older one does not open', async () => {
    const cipher = await cipherOf(bench)
    const rotated = await plugin.open(await rotatedOptions(), context)
    const packed = await sealed(rotated, bytes)
    sameBytes(await opened(rotated, packed), bytes)
    assert.notDeepEqual(rotated.keyIds, cipher.keyIds)
    await refusal(cipher, packed, bytes, NO_KEY, 'the older key alone')
  })

  function noSecret(error: unknown): void {
    for (let current = error; current instanceof Error; current = current.cause) {
      const text = `${current.message} ${current.stack ?? ''}`
      for (const secret of bench.secrets) assert.ok(!text.includes(secret), 'an error shows a secret key')
    }
  }
}
