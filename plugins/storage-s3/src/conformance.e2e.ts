import { storageConformance } from '@pbmkit/conformance'
import { freePort } from '@pbmkit/conformance/testbed'
import plugin from './index.js'
import { TestServer } from './minio.support.js'

describe('storage-s3 keeps the contract on MinIO', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({
    describe,
    it,
    plugin,
    options: () => server.bucket(),
    failing: {
      STORAGE_DENIED: async () => {
        const options = await server.bucket()
        return { ...options, credentials: { ...options.credentials, 'secret-access-key': 'wrong-secret' } }
      },
      STORAGE_UNAVAILABLE: async () => ({
        ...server.options('bucket'),
        endpointUrl: `http://127.0.0.1:${await freePort()}`,
        retryer: { numMaxRetries: 0 },
      }),
    },
  })
  after(() => server.stop())
})
