import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readlink, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Standalone, startStandalone } from '@pbmkit/conformance/testbed'
import { PbmError } from '../../errors.js'
import { serverOptions } from '../../mongo/server-options.js'
import { removeLeftScratch, type ScratchOptions, withScratch } from './scratch.js'
import { programOf } from './server-program.js'

describe('a scratch server', () => {
  let server: Standalone
  let parent: string
  let options: ScratchOptions
  const ending = new AbortController()
  before(async () => {
    server = await startStandalone()
    parent = await mkdtemp(join(tmpdir(), 'pbmkit-scratch-'))
    const { path } = await programOf(await serverOptions(await server.client()))
    const { mongodOpts } = await serverOptions(await server.client())
    options = { parent, path, mongodOpts, keepFree: 0, signal: ending.signal }
  })
  after(async () => {
    await server.stop()
    await rm(parent, { recursive: true })
  })

  it('is empty, listens to nobody else, keeps to its memory, and leaves nothing', async () => {
    const found = await withScratch({ ...options, cacheGb: '0.3' }, async (client) => {
      await client.db('shop').collection('orders').insertOne({ a: 1 })
      const { parsed, argv } = await client.db('admin').command({ getCmdLineOpts: 1 })
      assert.equal(argv[0], options.path)
      assert.match(parsed.net.bindIp, /^\/.*\.sock$/)
      assert.equal(parsed.storage.wiredTiger.engineConfig.cacheSizeGB, 0.3)
      const script = client.db('shop').collection('orders').findOne({ $where: 'true' })
      await assert.rejects(script, /JavaScript|script/i)
      return await client.db('shop').collection('orders').countDocuments()
    })
    assert.equal(found, 1)
    assert.deepEqual(await readdir(parent), [])
  })

  it('ends with the signal and with what the work throws', async () => {
    const cancel = new AbortController()
    const reason = new PbmError('INTERRUPTED', 'canceled')
    const work = withScratch({ ...options, signal: cancel.signal }, async (client) => {
      const waiting = await client.db('shop').createCollection('waiting', { capped: true, size: 4096 })
      await waiting.insertOne({})
      const cursor = waiting.find({}, { tailable: true, awaitData: true, maxAwaitTimeMS: 600_000 })
      await cursor.next()
      const endless = cursor.next()
      cancel.abort(reason)
      await endless
    })
    await assert.rejects(work, reason)
    const wrong = new PbmError('INTERRUPTED', 'wrong')
    await assert.rejects(
      withScratch(options, () => Promise.reject(wrong)),
      wrong,
    )
    assert.deepEqual(await readdir(parent), [])
  })

  it('is not started where too little space would stay free', async () => {
    const full = { ...options, keepFree: Number.MAX_SAFE_INTEGER }
    await assert.rejects(
      withScratch(full, () => Promise.resolve()),
      { code: 'SCRATCH_SPACE' },
    )
    assert.deepEqual(await readdir(parent), [])
  })

  it('says why its files can not be opened', async () => {
    const fill = (dbPath: string) => mkdir(join(dbPath, 'WiredTiger'))
    await assert.rejects(
      withScratch({ ...options, fill }, () => Promise.resolve()),
      { code: 'SCRATCH_FAILED' },
    )
    assert.deepEqual(await readdir(parent), [])
  })

  it('is ended by the next agent where its own was killed, and only then', async () => {
    await withScratch(options, async (client) => {
      const [own = ''] = await readdir(parent)
      await removeLeftScratch(parent)
      const { pid } = await client.db('admin').command({ serverStatus: 1 })
      assert.equal(await readlink(`/proc/${pid}/exe`), options.path)
      // As if a process before this one had made it.
      await rename(join(parent, own), join(parent, own.replace(/-\d+-(?=[0-9a-f]{16}\.tmp$)/, '-1-')))
      await removeLeftScratch(parent)
      await assert.rejects(readlink(`/proc/${pid}/exe`), { code: 'ENOENT' })
      assert.deepEqual(await readdir(parent), [])
    })
  })
})
