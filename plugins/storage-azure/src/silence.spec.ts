import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hasCode, type ObjectStore, type PluginError } from '@pbmkit/core/plugin'
import { connect, largeBufferRequests } from './client.js'
import { azureStore } from './store.js'

/** A connection that a firewall has forgotten gives neither bytes nor an end. */
describe('storage-azure on connections that fall silent', () => {
  let server: Server
  let store: ObjectStore
  let answer: RequestListener

  beforeEach(async () => {
    server = createServer((request, response) => {
      request.resume()
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const options = {
      ...{ account: 'acme', container: 'backups' },
      endpointUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme`,
      credentials: { key: Buffer.alloc(64, 'k').toString('base64') },
      retryer: { numMaxRetries: 4, minRetryDelay: '1ms', maxRetryDelay: '2ms' },
    }
    const context = { signal: new AbortController().signal, warn: () => undefined }
    store = azureStore(
      await connect(options, undefined, largeBufferRequests(200)),
      options,
      context,
      'azure://acme/backups',
    )
  })
  afterEach(async () => {
    await store.close()
    server.closeAllConnections()
    server.close()
  })

  it('gives up a request that is not answered', async () => {
    answer = () => undefined
    const error = await store.stat('object').then(
      () => assert.fail('must be refused'),
      (reason: unknown) => reason as PluginError,
    )
    assert.ok(hasCode(error, 'STORAGE_UNAVAILABLE') && error.retriable, String(error))
    assert.match(error.message, /does not answer/)
  })

  it('reads on where the bytes stopped, as often as it takes', async () => {
    const bytes = randomBytes(75)
    let asked = 0
    answer = (request, response) => {
      const [, first = '0'] = /^bytes=(\d+)-/.exec(String(request.headers['x-ms-range'] ?? '')) ?? []
      const rest = bytes.subarray(Number(first))
      response.writeHead(206, {
        'content-length': rest.length,
        'content-range': `bytes ${first}-74/75`,
        etag: '"one"',
        'last-modified': new Date(0).toUTCString(),
      })
      asked += 1
      // The headers go with the first bytes.
      response.write(rest.subarray(0, 3))
    }
    const read: Uint8Array[] = []
    for await (const chunk of await store.read('object')) read.push(chunk)
    assert.ok(Buffer.concat(read).equals(bytes))
    // More than may break without a byte between them.
    assert.ok(asked >= 25, `${asked} answers`)
  })
})
