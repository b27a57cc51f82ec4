import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { hasCode, type PluginErrorCode } from '@pbmkit/core/plugin'
import * as vectors from 'cctv-age'
import plugin from './index.js'
import { testPair } from './test-keys.support.js'

const VARIABLE = 'PBMKIT_TEST_AGE_VECTORS'
const CODES: Readonly<Record<string, readonly PluginErrorCode[]>> = {
  'header failure': ['ENCRYPTION_TAMPERED', 'CODEC_TRUNCATED'],
  'HMAC failure': ['ENCRYPTION_TAMPERED'],
  'payload failure': ['ENCRYPTION_TAMPERED', 'CODEC_TRUNCATED'],
  'no match': ['ENCRYPTION_KEY_WRONG'],
}

interface Vector {
  readonly expect: string
  readonly payload: string | undefined
  readonly identities: string[]
  /** Passphrases, armour and post-quantum recipients are not for backups. */
  readonly isOurs: boolean
  readonly file: Buffer
}

function parse(bytes: Uint8Array): Vector {
  const text = Buffer.from(bytes)
  const end = text.indexOf('\n\n')
  const fields = text
    .toString('latin1', 0, end)
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)] as const)
  const valuesOf = (key: string) => fields.filter(([name]) => name === key).map(([, value]) => value)
  const stored = text.subarray(end + 2)
  const identities = valuesOf('identity')
  return {
    expect: valuesOf('expect')[0] ?? '',
    payload: valuesOf('payload')[0],
    identities,
    isOurs:
      valuesOf('armored').length === 0 &&
      valuesOf('passphrase').length === 0 &&
      identities.every((identity) => identity.startsWith('AGE-SECRET-KEY-1')),
    file: valuesOf('compressed')[0] === 'zlib' ? inflateSync(stored) : stored,
  }
}

describe("age's published test vectors", () => {
  const ours = Object.entries(vectors)
    .map(([name, bytes]) => ({ name, ...parse(bytes) }))
    .filter(({ isOurs }) => isOurs)

  it('are many', () => assert.ok(ours.length > 60, `${ours.length}`))

  for (const { name, expect, payload, identities, file } of ours) {
    it(`${name}: ${expect}`, async () => {
      const context = { signal: new AbortController().signal, warn: () => undefined }
      // Where a vector has no identity, none is needed to see what is wrong.
      process.env[VARIABLE] = identities.length === 0 ? testPair(1).identity : identities.join('\n')
      const cipher = await plugin.open({ recipients: [testPair(1).recipient], identityEnv: VARIABLE }, context)
      async function* source(): AsyncGenerator<Uint8Array> {
        yield file
      }
      const hash = createHash('sha256')
      let failure: unknown
      try {
        for await (const chunk of cipher.open(source())) hash.update(chunk)
      } catch (error) {
        failure = error
      }
      if (expect === 'success') assert.equal(failure, undefined)
      else {
        const codes = CODES[expect] ?? []
        assert.ok(
          codes.some((code) => hasCode(failure, code)),
          `${codes.join(' or ')}: ${String(failure)}`,
        )
      }
      // How much comes out before a failure is each implementation's own matter.
      if (expect === 'success') assert.equal(hash.digest('hex'), payload)
    })
  }
})
