import { storageConformance } from '@pbmkit/conformance'
import plugin from './index.js'
import { TestServer } from './minio.e2e.support.js'

describe('storage-s3 keeps the contract on MinIO', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({ describe, it, plugin, options: () => server.bucket() })
  after(() => server.stop())
})
