import { storageConformance } from '@pbmkit/conformance'
import { TestServer } from './azurite.e2e.support.js'
import plugin from './index.js'

describe('storage-azure keeps the contract on Azurite', () => {
  const server = new TestServer()
  before(async function () {
    await server.start(this)
  })
  storageConformance({ describe, it, plugin, options: () => server.container() })
  after(() => server.stop())
})
