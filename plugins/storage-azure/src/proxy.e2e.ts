import assert from 'node:assert/strict'
import { startHttpProxy, withEnvironment } from '@pbmkit/conformance/testbed'
import plugin, { type AzureOptions } from './index.js'

describe('storage-azure behind a proxy', () => {
  const context = { signal: new AbortController().signal, warn: () => undefined }

  it('asks HTTPS_PROXY for the way to its server, and not for hosts of NO_PROXY', async () => {
    const proxy = await startHttpProxy({ refuse: true })
    const refused = { code: /^STORAGE_/ }
    const open = (host: string) => plugin.open(options(host), context)
    await withEnvironment({ HTTPS_PROXY: proxy.url, NO_PROXY: 'near.invalid' }, async () => {
      await assert.rejects(open('storage.invalid'), refused)
      await assert.rejects(open('near.invalid'), refused)
    })
    assert.deepEqual([...new Set(proxy.seen)], ['CONNECT storage.invalid:443'])
    await proxy.stop()
  }).timeout(60_000)

  const options = (host: string): AzureOptions => ({
    ...{ account: 'account', container: 'backups', endpointUrl: `https://${host}` },
    retryer: { numMaxRetries: 1, minRetryDelay: '1ms', maxRetryDelay: '1ms' },
    credentials: { key: Buffer.alloc(64).toString('base64') },
  })
})
