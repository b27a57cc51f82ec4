import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { applySettings } from '../control/config-keys.js'
import { host, refusal } from './config.support.js'
import { maskStorage } from './mask.js'
import { withStoredSecrets } from './masked-values.js'
import { parseConfig } from './parse.js'

describe('a configuration that was shown and comes back', () => {
  const credentials = { 'access-key-id': 'AK', 'secret-access-key': 's3cr3t' }
  const stored = { type: 'cloud', cloud: { bucket: 'b', partSize: 7, credentials } }

  it('has the secrets that are stored, and the changes that were made', async () => {
    const shown = JSON.stringify({ storage: await maskStorage(stored, host) })
    assert.ok(!shown.includes('s3cr3t'))
    assert.deepEqual((await parseConfig(shown, host, stored)).storage, stored)
    const changed = shown.replace('"b"', '"c"').replace('"AK"', '"AK2"')
    assert.deepEqual((await parseConfig(changed, host, stored)).storage, {
      ...stored,
      cloud: { ...stored.cloud, bucket: 'c' },
    })
  })

  it('comes back from where the plugin is missing', () => {
    const options = { hosts: ['a', 'b'], pins: [1, 'x'], login: { user: 'u' } }
    const shown = { hosts: ['***', '***'], pins: [1, '***'], login: { user: '***' } }
    assert.deepEqual(withStoredSecrets(shown, options), options)
    // Which of the three is missing?
    assert.deepEqual(withStoredSecrets({ hosts: ['***'] }, options), { hosts: ['***'] })
    assert.deepEqual(withStoredSecrets({ login: '***', constructor: '***' }, options), {
      login: '***',
      constructor: '***',
    })
  })

  it('has the credentials in its URLs again', async () => {
    const withUrl = { type: 'cloud', cloud: { bucket: 'https://user:s3cr3t@b.example/x' } }
    const shown = JSON.stringify({ storage: await maskStorage(withUrl, host) })
    assert.match(shown, /"https:\/\/\*{3}@b\.example\/x"/)
    assert.deepEqual((await parseConfig(shown, host, withUrl)).storage, withUrl)
    // Another host is another's to log in to.
    for (const yaml of [shown, shown.replace('b.example', 'c.example')]) {
      const other = { type: 'cloud', cloud: { bucket: 'https://user:s3cr3t@d.example/x' } }
      assert.match(await refusal(parseConfig(yaml, host, other)), /storage\.cloud\.bucket: \*{3} stands for/)
    }
    const settings = [{ key: 'storage.cloud.bucket', value: 'https://***@b.example/x' }]
    const message = await refusal(applySettings({ storage: withUrl, epoch: new Timestamp(1n) }, settings, host))
    assert.match(message, /storage\.cloud\.bucket: \*{3} stands for/)
  })

  it('is refused where nothing is stored behind the mask, by line and key', async () => {
    const yaml = `storage:\n  type: cloud\n  cloud:\n    bucket: b\n    partSize: '***'\n    credentials: {access-key-id: '***'}\n`
    for (const storage of [undefined, { type: 'cloud' }, { type: 'cloud', cloud: { credentials: '***' } }]) {
      const message = await refusal(parseConfig(yaml, host, storage))
      assert.deepEqual(
        message.split('\n').map((line) => /^line \d: [\w.-]+: \*{3} stands for/.exec(line)?.[0]),
        [
          undefined,
          'line 5: storage.cloud.partSize: *** stands for',
          'line 6: storage.cloud.credentials.access-key-id: *** stands for',
        ],
      )
    }
  })

  it('leaves the mask in no single key either', async () => {
    const settings = [{ key: 'storage.cloud.credentials.secret-access-key', value: '***' }]
    const message = await refusal(applySettings({ storage: stored, epoch: new Timestamp(1n) }, settings, host))
    assert.match(message, /secret-access-key: \*{3} stands for a value that was not shown/)
  })
})
