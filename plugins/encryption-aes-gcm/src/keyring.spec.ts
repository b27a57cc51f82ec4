import assert from 'node:assert/strict'
import { hasCode, type PluginError } from '@pbmkit/core/plugin'
import { parseKeyring } from './keyring.js'

const ONE = Buffer.alloc(32, 0x5a)
const TWO = Buffer.alloc(32, 0xa5)

describe('parseKeyring', () => {
  it('reads Base64 and hexadecimal, with comments, empty lines and any line ends', () => {
    const text = `# newest first\r\n\r\n  ${ONE.toString('base64')}  \r\n${TWO.toString('hex').toUpperCase()}\n#end`
    const keys = parseKeyring(text, 'file k')
    assert.deepEqual(
      keys.map(({ secret }) => secret),
      [ONE, TWO],
    )
  })

  it('gives a key the same id however it is written, and counts it once', () => {
    const keys = parseKeyring(`${ONE.toString('base64')}\n${ONE.toString('hex')}`, 'file k')
    assert.equal(keys.length, 1)
    assert.match(keys[0].id, /^[0-9a-f]{16}$/)
  })

  const WRONG: [string, RegExp][] = [
    ['hunter2 hunter2', /characters that neither Base64 nor hexadecimal has/],
    ['xyzz', /in Base64 it has 3 bytes/],
    [ONE.toString('hex').slice(2), /it has 62 hexadecimal digits/],
    [`${ONE.toString('base64')}AAAA`, /neither/],
    [ONE.subarray(1).toString('base64'), /in Base64 it has 31 bytes/],
    ['AGE-SECRET-KEY-1QQ', /an identity of age/],
  ]
  for (const [wrong, why] of WRONG) {
    it(`names the line that holds no key and why, but not what stands there: ${why.source}`, () => {
      assert.throws(
        () => parseKeyring(`# keys\n${ONE.toString('hex')}\n${wrong}`, 'file k'),
        (error: PluginError) => {
          assert.ok(hasCode(error, 'ENCRYPTION_KEY_WRONG'))
          assert.match(error.message, /^line 3 of file k is no encryption key: /)
          assert.match(error.message, why)
          assert.ok(!error.message.includes(wrong))
          assert.match(error.hint ?? '', /openssl rand -base64 32/)
          return true
        },
      )
    })
  }

  it('says that there is no key', () => {
    assert.throws(
      () => parseKeyring('# nothing yet\n', 'file k'),
      (error: PluginError) =>
        hasCode(error, 'ENCRYPTION_KEY_MISSING') &&
        /in file k, only comments/.test(error.message) &&
        /openssl/.test(error.hint ?? ''),
    )
  })
})
