import assert from 'node:assert/strict'
import { MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { PluginError } from '../plugin/errors.js'
import { PluginHost } from '../plugin-host/host.js'
import { chunkChecksumName } from '../store/layout/chunk-checksum.js'
import { pitrChunkName } from '../store/layout/names.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { recoverChunks } from './recover-chunks.js'

describe('recoverChunks', () => {
  const [start, end] = [new Timestamp({ t: 2_000_000_000, i: 1 }), new Timestamp({ t: 2_000_000_060, i: 1 })]
  const log = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined }
  // Nothing is installed there.
  const host = new PluginHost({ resolveFrom: 'file:///nowhere/at/all.js' })
  let leader: MongoClient
  let store: FaultyStore
  beforeEach(() => {
    leader = new MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 100 })
    store = new FaultyStore()
  })
  afterEach(() => leader.close())

  const recover = () =>
    recoverChunks({ leader, store, host, rs: 'rs0', start, log, signal: new AbortController().signal })

  it('keeps a chunk that it has no plugin to open, and lists it', async () => {
    const name = pitrChunkName('rs0', start, end, '.zst')
    store.put(name, 'not to be opened here')
    // Here there is no server to list it on.
    await assert.rejects(recover(), { name: 'MongoServerSelectionError' })
    assert.deepEqual([...store.objects.keys()], [name])
  })

  it('keeps a chunk where nobody can tell what is wrong', async () => {
    store.put(pitrChunkName('rs0', start, end, ''), 'whatever')
    store.fault = (call) => (call === 'read' ? new Error('out of the blue') : undefined)
    await assert.rejects(recover(), { message: 'out of the blue' })
    assert.equal(store.objects.size, 1)
  })

  it('deletes one whose key is gone from the storage, and keeps one whose key is only not at hand', async () => {
    const name = pitrChunkName('rs0', start, end, '')
    store.put(name, 'sealed')
    let cause: unknown
    store.fault = (call) => (call === 'read' ? new PbmError('ENCRYPTION_KEY_MISSING', 'no key', { cause }) : undefined)
    await assert.rejects(recover(), { name: 'MongoServerSelectionError' })
    assert.deepEqual([...store.objects.keys()], [name])
    cause = new PluginError('STORAGE_NOT_FOUND', 'no such object')
    assert.deepEqual(await recover(), start)
    assert.equal(store.objects.size, 0)
  })

  it('deletes a broken one, and its checksums', async () => {
    const name = pitrChunkName('rs0', start, end, '')
    store.put(name, 'no BSON at all')
    store.put(chunkChecksumName(name, { size: 14, crc: '0'.repeat(16), storedCrc: 'f'.repeat(16) }), 'x')
    assert.deepEqual(await recover(), start)
    assert.equal(store.objects.size, 0)
  })
})
