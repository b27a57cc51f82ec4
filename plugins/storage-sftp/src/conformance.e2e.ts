import { storageConformance } from '@pbmkit/conformance'
import { freePort } from '@pbmkit/conformance/testbed'
import plugin from './index.js'
import { TestServer } from './sshd.support.js'

describe('storage-sftp keeps the contract on OpenSSH', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({
    describe,
    it,
    plugin,
    options: () => server.folder(),
    failing: {
      STORAGE_DENIED: () => {
        const { privateKeyFile: _, ...options } = server.options('/srv')
        return { ...options, password: 'wrong-password' }
      },
      STORAGE_UNAVAILABLE: async () => ({ ...server.options('/srv'), port: await freePort() }),
    },
  })
  afterEach(() => server.clear())
  after(() => server.stop())
})
