import { storageConformance } from '@pbmkit/conformance'
import plugin from './index.js'
import { Scratch } from './scratch.e2e.support.js'

describe('storage-filesystem keeps the contract', () => {
  const scratch = new Scratch()
  storageConformance({ describe, it, plugin, options: async () => ({ path: await scratch.folder() }) })
  afterEach(() => scratch.remove())
})
