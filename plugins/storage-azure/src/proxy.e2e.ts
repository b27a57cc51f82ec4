import assert from 'node:assert/strict'
import { askedOfProxy } from '@pbmkit/conformance/testbed'
import plugin, { type AzureOptions } from './index.js'

// In a process of its own: the vendor's library reads NO_PROXY once.
describe('storage-azure behind a proxy', () => {
  const context = { signal: new AbortController().signal, warn: () => undefined }

  it('asks HTTPS_PROXY for the way to its server, and not for hosts of NO_PROXY', async () => {
    const asked = await askedOfProxy((host) => plugin.open(options(host), context))
    assert.deepEqual(asked, ['CONNECT storage.invalid:443'])
  }).timeout(60_000)

  const options = (host: string): AzureOptions => ({
    ...{ account: 'account', container: 'backups', endpointUrl: `https://${host}` },
    retryer: { numMaxRetries: 1, minRetryDelay: '1ms', maxRetryDelay: '1ms' },
    credentials: { key: Buffer.alloc(64).toString('base64') },
  })
})
