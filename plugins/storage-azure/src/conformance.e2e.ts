import { storageConformance } from '@pbmkit/conformance'
import { freePort } from '@pbmkit/conformance/testbed'
import { TestServer } from './azurite.support.js'
import plugin from './index.js'

describe('storage-azure keeps the contract on Azurite', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({
    describe,
    it,
    plugin,
    options: () => server.container(),
    failing: {
      STORAGE_DENIED: async () => server.container({ credentials: { key: Buffer.alloc(64, 'w').toString('base64') } }),
      STORAGE_UNAVAILABLE: async () =>
        server.container({
          endpointUrl: `http://127.0.0.1:${await freePort()}/devstoreaccount1`,
          retryer: { numMaxRetries: 1, maxRetryDelay: '10ms' },
        }),
    },
  })
  after(() => server.stop())
})
