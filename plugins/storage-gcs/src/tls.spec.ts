import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createTlsFiles, removeTemporaryFolder, temporaryFolder } from '@pbmkit/conformance/testbed'
import type { PluginError } from '@pbmkit/core/plugin'
import plugin, { type GcsOptions } from './index.js'

describe('storage-gcs over TLS', () => {
  async function refusal(server: Server, more: Partial<GcsOptions> = {}): Promise<PluginError> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpointUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const context = { signal: new AbortController().signal, warn: () => undefined }
    try {
      return await plugin.open({ bucket: 'backups', endpointUrl, retryer: { maxAttempts: 1 }, ...more }, context).then(
        () => assert.fail('must be refused'),
        (reason: unknown) => reason as PluginError,
      )
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  it('refuses a certificate that nobody trusts, and tells how to trust it', async () => {
    const folder = await temporaryFolder('pbmkit-gcs-')
    try {
      const pem = await readFile((await createTlsFiles(folder)).server)
      const error = await refusal(createTlsServer({ key: pem, cert: pem }, (_, response) => response.end('{}')))
      assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', false], String(error))
      assert.match(error.message, /certificate of https:.* not trusted.*NODE_EXTRA_CA_CERTS/)
      const credentials = { hmacAccessKey: 'GOOG1EXAMPLE', hmacSecret: 'secret' }
      const server = createTlsServer({ key: pem, cert: pem }, (_, response) => response.end('{}'))
      const withHmac = await refusal(server, { credentials })
      assert.deepEqual([withHmac.code, withHmac.retriable], ['STORAGE_UNAVAILABLE', false], String(withHmac))
      assert.match(
        withHmac.message,
        /certificate of https:.* not trusted.*; name its authority in NODE_EXTRA_CA_CERTS$/,
      )
    } finally {
      await removeTemporaryFolder(folder)
    }
  })

  it('tells that https:// stands in front of a port that speaks plain HTTP', async () => {
    const error = await refusal(createServer((_, response) => response.end('{}')))
    assert.deepEqual([error.code, error.retriable], ['STORAGE_UNAVAILABLE', false], String(error))
    assert.match(error.message, /http:\/\//)
  })
})
