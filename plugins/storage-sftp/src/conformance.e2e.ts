import { storageConformance } from '@pbmkit/conformance'
import plugin from './index.js'
import { TestServer } from './sshd.e2e.support.js'

describe('storage-sftp keeps the contract on OpenSSH', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({ describe, it, plugin, options: () => server.folder() })
  afterEach(() => server.clear())
  after(() => server.stop())
})
