import assert from 'node:assert/strict'
import { shapeFaults } from '@pbmkit/core'
import { cipherOf, type EncryptionBench } from './fixture.js'

interface Abilities {
  readonly wrapsKeys: boolean
  readonly bindsNames: boolean
}

export function pluginCases(bench: EncryptionBench, { wrapsKeys, bindsNames }: Abilities): void {
  const { it, plugin } = bench

  it('is of the kind encryption and of API version 1', async () => {
    assert.equal(plugin.kind, 'encryption')
    assert.equal(plugin.apiVersion, 1)
  })

  it('has a name of lower-case letters, digits and dashes', async () => {
    assert.match(plugin.name, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
  })

  it('has the methods and the schema of its kind', async () => {
    assert.deepEqual(shapeFaults(plugin, 'encryption'), [])
  })

  it('has no option that holds a secret', async () => {
    assert.doesNotMatch(JSON.stringify(plugin.optionsSchema), /"writeOnly":true/, 'keys must not stand in the options')
  })

  it('says which keys it seals for, in one line of text each', async () => {
    const { keyIds } = await cipherOf(bench)
    assert.ok(keyIds.length > 0, 'keyIds is empty')
    for (const id of keyIds) assert.match(id, /^[\x21-\x7e]+$/)
  })

  it('says the same of its keys each time', async () => {
    const again = await plugin.open(await bench.options(), {
      signal: new AbortController().signal,
      warn: () => undefined,
    })
    assert.deepEqual(again.keyIds, (await cipherOf(bench)).keyIds)
  })

  it('says whether it takes wrapping keys', async () => {
    assert.equal((await cipherOf(bench)).wrapsKeys ?? false, wrapsKeys)
  })

  it('says whether it binds objects to their names', async () => {
    assert.equal((await cipherOf(bench)).bindsNames ?? false, bindsNames)
  })
}
