import assert from 'node:assert/strict'
import { hasCode } from '@pbmkit/core/plugin'
import { parseKeyring } from './keyring.js'

const ONE = Buffer.alloc(32, 0x5a)
const TWO = Buffer.alloc(32, 0xa5)

describe('parseKeyring', () => {
  it('reads Base64 and hexadecimal, with comments, empty lines and any line ends', () => {
    const text = `# newest first\r\n\r\n  ${ONE.toString('base64')}  \r\n${TWO.toString('hex').toUpperCase()}\n#end`
    const keys = parseKeyring(text)
    assert.deepEqual(
      keys.map(({ secret }) => secret),
      [ONE, TWO],
    )
  })

  it('gives a key the same id however it is written, and counts it once', () => {
    const keys = parseKeyring(`${ONE.toString('base64')}\n${ONE.toString('hex')}`)
    assert.equal(keys.length, 1)
    assert.match(keys[0].id, /^[0-9a-f]{16}$/)
  })

  it('names the line that holds no key, and not what stands there', () => {
    for (const wrong of ['hunter2hunter2', ONE.toString('hex').slice(2), `${ONE.toString('base64')}AAAA`, 'age1abc']) {
      assert.throws(
        () => parseKeyring(`# keys\n${ONE.toString('hex')}\n${wrong}`),
        (error: Error) =>
          hasCode(error, 'ENCRYPTION_KEY_WRONG') && /line 3/.test(error.message) && !error.message.includes(wrong),
      )
    }
  })

  it('says that there is no key', () => {
    assert.throws(
      () => parseKeyring('# nothing yet\n'),
      (error) => hasCode(error, 'ENCRYPTION_KEY_MISSING'),
    )
  })
})
