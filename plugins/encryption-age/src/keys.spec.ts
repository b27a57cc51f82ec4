import assert from 'node:assert/strict'
import { hasCode, type PluginError } from '@pbmkit/core/plugin'
import { decodeBech32, encodeBech32 } from './bech32.js'
import plugin from './index.js'
import { testPair } from './test-keys.support.js'
import { parseIdentities, parseRecipient } from './x25519.js'

const one = testPair(3)

describe('keys of age', () => {
  it('go through Bech32 and back, whatever their length', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Buffer.from(Array.from({ length }, (_, at) => (at * 37 + length) & 0xff))
      assert.deepEqual(decodeBech32(encodeBech32(bytes, 'age'), 'age'), bytes)
    }
  })

  it('refuses a recipient with a wrong letter, of another kind, or in mixed case', () => {
    const { recipient, identity } = one
    const last = recipient.endsWith('q') ? 'p' : 'q'
    const mixed = recipient.slice(0, -1) + recipient.slice(-1).toUpperCase()
    for (const wrong of [`${recipient.slice(0, -1)}${last}`, identity, `${mixed}Q`, 'age1', '', 'ssh-ed25519 AAAA']) {
      assert.throws(
        () => parseRecipient(wrong),
        (error) => hasCode(error, 'ENCRYPTION_KEY_WRONG'),
      )
    }
  })

  it('tells a recipient of another kind, as those of hardware keys, from one that is mistyped', () => {
    const hardware = 'age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t'
    assert.throws(() => parseRecipient(hardware), /for a plugin of age, or of a newer kind, and only X25519 is taken/)
    assert.throws(() => parseRecipient(one.recipient.slice(1)), /is no age recipient/)
  })

  it('reads a file of age-keygen', () => {
    const identities = parseIdentities(
      `# created: today\r\n# public key: ${one.recipient}\r\n${one.identity}\r\n`,
      'file k',
    )
    assert.deepEqual(
      identities.map(({ recipient }) => recipient.text),
      [one.recipient],
    )
  })

  const mistyped = `${one.identity.slice(0, -1)}${one.identity.endsWith('Q') ? 'P' : 'Q'}`
  const WRONG: [string, RegExp][] = [
    [mistyped, /checksum is wrong/],
    [one.recipient, /it is a recipient/],
    ['-----BEGIN AGE ENCRYPTED FILE-----', /sealed with age itself/],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', /a key of another kind/],
    ['hunter2hunter2', /does not begin with AGE-SECRET-KEY-1/],
  ]
  for (const [wrong, why] of WRONG) {
    it(`names the line that is no identity and why, but not what stands there: ${why.source}`, () => {
      assert.throws(
        () => parseIdentities(`${one.identity}\n${wrong}`, 'file k'),
        (error: PluginError) => {
          assert.ok(hasCode(error, 'ENCRYPTION_KEY_WRONG'))
          assert.match(error.message, /^line 2 of file k is no age identity: /)
          assert.match(error.message, why)
          assert.ok(!error.message.includes(wrong))
          assert.match(error.hint ?? '', /AGE-SECRET-KEY-1, as age-keygen writes it/)
          return true
        },
      )
    })
  }

  it('repeats no identity that was taken for a recipient', async () => {
    const context = { signal: new AbortController().signal, warn: () => undefined }
    for (const text of [one.identity, one.identity.toLowerCase(), ` ${one.identity}`])
      await assert.rejects(
        async () => plugin.open({ recipients: [text] }, context),
        (error: Error) =>
          hasCode(error, 'ENCRYPTION_KEY_WRONG') &&
          /a secret identity .* stands where a recipient belongs/.test(error.message) &&
          !error.message.toUpperCase().includes(one.identity.slice(0, 20)),
      )
  })

  it('seals without an identity, and says that it can not open', async () => {
    const context = { signal: new AbortController().signal, warn: () => undefined }
    const cipher = await plugin.open({ recipients: [one.recipient] }, context)
    async function* text(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x')
    }
    await assert.rejects(
      async () => {
        for await (const _ of cipher.open(cipher.seal(text())));
      },
      (error: Error) => hasCode(error, 'ENCRYPTION_KEY_MISSING') && /no identity is configured/.test(error.message),
    )
  })

  it('open what was sealed for as many recipients as the options take', async () => {
    const { maxItems } = plugin.optionsSchema.properties.recipients as { maxItems: number }
    const key = one.recipient
    const recipients = Array.from({ length: maxItems }, () => key)
    const context = { signal: new AbortController().signal, warn: () => undefined }
    process.env.TEST_AGE_IDENTITY = one.identity
    try {
      const cipher = await plugin.open({ recipients, identityEnv: 'TEST_AGE_IDENTITY' }, context)
      async function* text(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('x')
      }
      const opened: Uint8Array[] = []
      for await (const chunk of cipher.open(cipher.seal(text()))) opened.push(chunk)
      assert.equal(Buffer.concat(opened).toString(), 'x')
    } finally {
      delete process.env.TEST_AGE_IDENTITY
    }
  })
})
