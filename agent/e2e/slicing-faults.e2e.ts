import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { findPitr, listChunks, sendCommand } from '@pbmkit/core'
import { backupEnded, type Cluster, outputs, passSeconds, startCluster, until } from './cluster.support.js'
import {
  assertHoldsOplog,
  nobodySlices,
  noStrays,
  slicingAgent,
  startWriting,
  storedUntilNow,
} from './slicing.support.js'
import { slowStoragePlugin } from './slow-storage.support.js'

/** Minutes: a chunk each second. */
const SPAN = 1 / 60

/** So small that it rolls over soon. */
const OPLOG_MEGABYTES = 16

describe('slicing that is cut off', () => {
  let cluster: Cluster
  const fault = (name: string) => `${cluster.storage}.${name}`
  const backup = async () => {
    const done = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([done.status, done.error ?? ''], ['done', ''], outputs(cluster))
    return done
  }
  const configure = (enabled: boolean) =>
    cluster.configure(
      `storage:\n  type: slow\n  slow:\n    path: ${cluster.storage}\npitr:\n  enabled: ${enabled}\n  oplogSpanMin: ${SPAN}\n`,
    )

  before(async () => {
    cluster = await startCluster({
      members: 1,
      pluginDir: await slowStoragePlugin(),
      mongodArgs: ['--oplogSize', String(OPLOG_MEGABYTES)],
    })
    await configure(true)
    await backup()
    await storedUntilNow(cluster)
  })
  after(() => cluster.stop())

  it('a storage that is full, and has room again', async () => {
    const writing = startWriting(cluster.admin)
    await writeFile(fault('STORAGE_NO_SPACE'), '')
    try {
      await until('the error', async () => /the oplog can't be stored: .*the test says so/.test(outputs(cluster)))
      await until('the error in pbmPITR', async () => {
        const told = (await findPitr(cluster.leader))?.replsets[0]?.error ?? ''
        return /the oplog can't be stored/.test(told)
      })
    } finally {
      await rm(fault('STORAGE_NO_SPACE'))
    }
    await storedUntilNow(cluster)
    await writing.stop()
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
    await until('the end of it to be told', async () => /the oplog is stored again/.test(outputs(cluster)))
    await noStrays(cluster)
  })

  it('the server hangs for a while', async () => {
    const [member] = cluster.set.members
    member?.pause()
    await new Promise((resolve) => setTimeout(resolve, 8_000))
    member?.resume()
    await storedUntilNow(cluster)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('killed between storing a chunk and listing it', async () => {
    const agent = await slicingAgent(cluster)
    await agent.stop('SIGKILL')
    const chunks = await listChunks(cluster.leader)
    const last = chunks.at(-1)
    assert.ok(last)
    // As it would be then: the object is there, its document is not.
    await cluster.admin.db('admin').collection('pbmPITRChunks').deleteOne({ fname: last.fname })
    await passSeconds(cluster, 35)
    await cluster.startAgent(agent.member)
    await storedUntilNow(cluster)
    assert.match(outputs(cluster), /which a slicer stored before it died/)
    await assertHoldsOplog(cluster, await listChunks(cluster.leader))
  })

  it('all control collections are dropped, and the configuration is given again: no gap', async () => {
    const writing = startWriting(cluster.admin)
    await slicingAgent(cluster)
    const [first] = await listChunks(cluster.leader)
    const admin = cluster.admin.db('admin')
    for (const { name } of await admin.listCollections({ name: /^pbm/ }, { nameOnly: true }).toArray()) {
      await admin.collection(name).drop()
    }
    await nobodySlices(cluster)
    await configure(true)
    // As pbm config does.
    await sendCommand(cluster.leader, { cmd: 'resync' })
    await until('the chunks to be listed', async () => (await listChunks(cluster.leader)).length > 0)
    await slicingAgent(cluster)
    await storedUntilNow(cluster)
    await writing.stop()
    const chunks = await listChunks(cluster.leader)
    assert.deepEqual(chunks[0]?.start_ts, first?.start_ts)
    await assertHoldsOplog(cluster, chunks)
    await noStrays(cluster)
  })

  it('the server forgets what was not stored yet: a gap, and the next snapshot mends it', async () => {
    await configure(false)
    await nobodySlices(cluster)
    const before = await listChunks(cluster.leader)
    const end = before.at(-1)?.end_ts
    assert.ok(end)
    const bulk = cluster.admin.db('load').collection('bulk')
    const filler = Buffer.alloc(4_000_000)
    const oplog = cluster.admin.db('local').collection('oplog.rs')
    await until('the oplog to roll over', async () => {
      await bulk.insertMany([{ filler }, { filler }, { filler }, { filler }])
      // The server forgets nothing before its next checkpoint, which is due once a minute.
      await cluster.admin.db('admin').command({ fsync: 1 })
      const oldest = await oplog.findOne({}, { sort: { $natural: 1 }, projection: { ts: 1 } })
      return oldest?.ts.greaterThan(end)
    })
    await bulk.drop()
    await configure(true)
    await until('the error', async () => /the oplog does not reach back/.test(outputs(cluster)))
    const base = await backup()
    await storedUntilNow(cluster)
    assert.match(outputs(cluster), /gap in the stored oplog/)
    const since = (await listChunks(cluster.leader)).slice(before.length)
    assert.ok(since[0]?.start_ts.equals(base.last_write_ts))
    await assertHoldsOplog(cluster, since)
  })
})
