import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { applySettings } from '../control/config-keys.js'
import { host, refusal } from './config.support.js'
import { parseConfig } from './parse.js'

const STORAGE = 'storage:\n  type: cloud\n  cloud: {bucket: b}\n'
const parse = (more: string) => parseConfig(`${STORAGE}${more}`, host)

describe('encryption in the configuration', () => {
  it('is read by the schema of its plugin', async () => {
    const { encryption } = await parse('encryption:\n  type: vault\n  vault: {keyCommand: [get, key]}\n')
    assert.deepEqual(encryption, { type: 'vault', vault: { keyCommand: ['get', 'key'] } })
  })

  it('may be a package whose method has a shorter name', async () => {
    const { encryption } = await parse("encryption: {type: '@acme/pbm-vault', vault: {keyFile: 2031}}\n")
    assert.deepEqual(encryption, { type: '@acme/pbm-vault', vault: { keyFile: '2031' } })
  })

  it('keeps the block of a method that seals nothing new', async () => {
    const { encryption } = await parse('encryption: {type: none, vault: {keyFile: /k}}\n')
    assert.deepEqual(encryption, { type: 'none', vault: { keyFile: '/k' } })
  })

  for (const [what, yaml, told] of [
    [
      'an unknown key',
      'encryption: {type: vault, vault: {keyfile: /k}}',
      /vault\.keyfile: unknown key; did you mean keyFile/,
    ],
    ['a wrong value', 'encryption: {type: vault, vault: {keyCommand: get key}}', /vault\.keyCommand: must be a list/],
    ['a method that is not installed', 'encryption: {type: rot13}', /encryption\.type: .*encryption-rot13/s],
    ['a block of such a method', 'encryption: {type: none, rot13: {}}', /encryption\.rot13: .*encryption-rot13/s],
    [
      'a method without its block',
      'encryption: {type: vault}',
      /encryption\.vault: is missing; it says where the keys/,
    ],
    ['a method with an empty block', 'encryption:\n  type: vault\n  vault:\n', /encryption\.vault: is missing/],
    ['a section without a type', 'encryption: {vault: {keyFile: /k}}', /encryption\.type: is missing/],
    [
      'an archive',
      'encryption: {type: vault, vault: {}}\nbackup: {layout: archive}',
      /backup\.layout: archive can not be/,
    ],
  ] as const) {
    it(`is refused with ${what}`, async () => {
      assert.match(await refusal(parse(yaml)), told)
    })
  }

  it('is set key by key', async () => {
    const previous = { storage: { type: 'cloud', cloud: { bucket: 'b' } }, epoch: new Timestamp(0n) }
    const settings = [
      { key: 'encryption.type', value: 'vault' },
      { key: 'encryption.vault.keyFile', value: '/k' },
    ]
    const { config } = await applySettings(previous, settings, host)
    assert.deepEqual(config.encryption, { type: 'vault', vault: { keyFile: '/k' } })
    const off = await applySettings(config, [{ key: 'encryption.type', value: 'none' }], host)
    assert.deepEqual(off.config.encryption, { type: 'none', vault: { keyFile: '/k' } })
    assert.match(
      await refusal(applySettings(previous, settings.slice(0, 1), host)),
      /encryption\.vault: is missing; it says where the keys are/,
    )
    const wrong = [{ key: 'encryption.vault.keyfile', value: '/k' }]
    assert.match(await refusal(applySettings(config, wrong, host)), /did you mean keyFile/)
  })
})
