import assert from 'node:assert/strict'
import { askedOfProxy } from '@pbmkit/conformance/testbed'
import type { AzureOptions } from './index.js'

describe('storage-azure behind a proxy', () => {
  it('asks HTTPS_PROXY for the way to its server, and not for hosts of NO_PROXY', async () => {
    const asked = await askedOfProxy(import.meta.resolve('./index.js'), options)
    assert.deepEqual(asked, ['CONNECT storage.invalid:443'])
  }).timeout(60_000)

  const options = (host: string): AzureOptions => ({
    ...{ account: 'account', container: 'backups', endpointUrl: `https://${host}` },
    retryer: { numMaxRetries: 1, minRetryDelay: '1ms', maxRetryDelay: '1ms' },
    credentials: { key: Buffer.alloc(64).toString('base64') },
  })
})
