import { storageConformance } from '@pbmkit/conformance'
import { freePort } from '@pbmkit/conformance/testbed'
import { TestServer } from './fake-gcs.support.js'
import plugin from './index.js'

describe('storage-gcs keeps the contract on fake-gcs-server', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  // fake-gcs-server takes line breaks in names, the real service does not: there, they are refused as invalid names.
  storageConformance({
    describe,
    it,
    plugin,
    options: () => server.bucket(),
    failing: {
      STORAGE_UNAVAILABLE: async () => ({
        ...(await server.bucket()),
        endpointUrl: `http://127.0.0.1:${await freePort()}`,
        retryer: { maxAttempts: 1 },
      }),
    },
  })
  after(() => server.stop())
})
