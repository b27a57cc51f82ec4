import { storageConformance } from '@pbmkit/conformance'
import plugin from './index.js'
import { Scratch } from './scratch.support.js'

describe('storage-filesystem keeps the contract', () => {
  const scratch = new Scratch()
  storageConformance({
    describe,
    it,
    plugin,
    options: async () => ({ path: await scratch.folder() }),
    failing: {
      // Nobody can make a folder there.
      STORAGE_UNAVAILABLE: () => ({ path: '/proc/none/here' }),
    },
  })
  afterEach(() => scratch.remove())
})
