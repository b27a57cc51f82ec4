import assert from 'node:assert/strict'
import { askedOfProxy } from '@pbmkit/conformance/testbed'
import type { S3Options } from './index.js'

describe('storage-s3 behind a proxy', () => {
  it('asks HTTPS_PROXY for the way to its server, and not for hosts of NO_PROXY', async () => {
    const asked = await askedOfProxy(import.meta.resolve('./index.js'), options)
    assert.deepEqual(asked, ['CONNECT storage.invalid:443'])
  }).timeout(60_000)

  const options = (host: string): S3Options => ({
    ...{ bucket: 'backups', endpointUrl: `https://${host}`, retryer: { numMaxRetries: 0 } },
    credentials: { 'access-key-id': 'key', 'secret-access-key': 'secret' },
  })
})
