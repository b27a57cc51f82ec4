import assert from 'node:assert/strict'
import { parseServerOptions } from './server-options.js'

describe('how a mongod was started', () => {
  it('has the defaults of the server where nothing is said', () => {
    const { dbPath, port, isEncrypted, mongodOpts } = parseServerOptions({ argv: ['mongod'], parsed: {} })
    assert.deepEqual([dbPath, port, isEncrypted], ['/data/db', 27017, false])
    assert.deepEqual(mongodOpts.storage, {
      directoryPerDB: false,
      dbPath: '/data/db',
      wiredTiger: {
        engineConfig: { journalCompressor: 'snappy', directoryForIndexes: false },
        collectionConfig: { blockCompressor: 'snappy' },
        indexConfig: { prefixCompression: true },
      },
    })
  })

  it('is taken over where it is said', () => {
    const wiredTiger = {
      engineConfig: { journalCompressor: 'zstd', directoryForIndexes: true },
      collectionConfig: { blockCompressor: 'zlib' },
      indexConfig: { prefixCompression: false },
    }
    const storage = { dbPath: '/srv/data', directoryPerDB: true, wiredTiger }
    const parsed = { net: { bindIp: '127.0.0.1', port: 27_118 }, storage, security: { keyFile: '/etc/key' } }
    const { keyFile, mongodOpts, port } = parseServerOptions({ argv: [], parsed })
    assert.deepEqual([keyFile, port], ['/etc/key', 27_118])
    assert.deepEqual(mongodOpts.storage, storage)
  })

  it('tells of data that the server encrypts, and of a dbPath that leads nowhere', () => {
    const encrypted = { storage: { dbPath: '/d' }, security: { enableEncryption: true } }
    assert.equal(parseServerOptions({ parsed: encrypted }).isEncrypted, true)
    assert.throws(() => parseServerOptions({ parsed: { storage: { dbPath: 'data' } } }), { code: 'DBPATH_RELATIVE' })
  })
})
