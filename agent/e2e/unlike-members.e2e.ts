import assert from 'node:assert/strict'
import { compareStates, type MongodProcess, snapshotState } from '@pbmkit/conformance/testbed'
import { clusterTime, findBackup, listChunks, listSlicerLocks, PluginHost, setConfigKeys } from '@pbmkit/core'
import { MongoClient, type Timestamp } from 'mongodb'
import {
  backupEnded,
  type Cluster,
  filesystemConfig,
  loadSmallData,
  outputs,
  restoreEnded,
  startCluster,
  unlocked,
  until,
} from './cluster.support.js'
import { nobodySlices, slicingAgent } from './slicing.support.js'

describe('a hidden member kept for backups, without indexes and behind the others', () => {
  let cluster: Cluster
  let hidden: MongodProcess
  before(async () => {
    cluster = await startCluster({
      memberConfig: { 2: { hidden: true, priority: 0, buildIndexes: false } },
      mongodArgs: ['--setParameter', 'enableTestCommands=1'],
    })
    const member = cluster.set.members[2]
    assert(member !== undefined)
    hidden = member
    await cluster.configure(filesystemConfig(cluster.storage))
    await loadSmallData(cluster.admin)
  })
  after(() => cluster.stop())

  async function applying(on: boolean): Promise<void> {
    const client = await MongoClient.connect(cluster.set.uri({ direct: true, member: 2 }))
    const mode = on ? 'off' : 'alwaysOn'
    await client.db('admin').command({ configureFailPoint: 'rsSyncApplyStop', mode })
    await client.close()
  }

  it('makes a backup with every index, and with all that was acknowledged before the command', async () => {
    const { admin } = cluster
    const people = admin.db('work').collection('people')
    await people.createIndex({ name: 1 }, { unique: true, commitQuorum: 'majority' })
    await admin.db('work').createCollection('measured', { timeseries: { timeField: 'at', metaField: 'by' } })
    await admin
      .db('work')
      .collection('measured')
      .createIndex({ by: 1, at: -1 }, { name: 'by whom', commitQuorum: 'majority' })
    await applying(false)
    let before: Awaited<ReturnType<typeof snapshotState>>
    let name: string
    try {
      await people.insertMany([{ name: 'Ada' }, { name: 'Grace' }], { writeConcern: { w: 'majority' } })
      await people.createIndex({ born: 1 }, { commitQuorum: 'majority' })
      before = await snapshotState(admin)
      name = await cluster.backup()
      const waits = () => /waiting until \S+ has all that was written before/.test(outputs(cluster))
      const isOver = async () => ['done', 'error'].includes((await findBackup(cluster.leader, name))?.status ?? '')
      await until('the backup to wait for the member', async () => waits() || (await isOver()))
    } finally {
      await applying(true)
    }
    const backup = await backupEnded(cluster, name)
    assert.deepEqual([backup.status, backup.replsets[0]?.node], ['done', hidden.host], outputs(cluster))
    await unlocked(cluster)
    await admin.db('work').dropDatabase()
    const restore = await restoreEnded(cluster, await cluster.restore(name))
    assert.deepEqual([restore.status, restore.error ?? ''], ['done', ''], outputs(cluster))
    assert.deepEqual(compareStates(before, await snapshotState(admin)), [])
    await unlocked(cluster)
  })

  it('ends what it stores of the oplog with all that was acknowledged before', async () => {
    const backup = await backupEnded(cluster, await cluster.backup())
    assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
    await cluster.configure(filesystemConfig(cluster.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 10\n'))
    assert.equal((await slicingAgent(cluster)).member.host, hidden.host)
    let written: Timestamp
    await applying(false)
    try {
      await cluster.admin
        .db('work')
        .collection('late')
        .insertOne({ text: 'late' }, { writeConcern: { w: 'majority' } })
      written = await clusterTime(cluster.leader)
      const host = new PluginHost({ resolveFrom: import.meta.url })
      await setConfigKeys(cluster.leader, [{ key: 'pitr.enabled', value: 'false' }], host)
      const ends = () => outputs(cluster).split('stops storing the oplog')[1] ?? ''
      await until('the slicer to wait for the member', async () => {
        const slicers = await listSlicerLocks(cluster.leader)
        return slicers.length === 0 || /waiting until \S+ has all that was written before/.test(ends())
      })
    } finally {
      await applying(true)
    }
    await nobodySlices(cluster)
    const ends = (await listChunks(cluster.leader)).map(({ end_ts }) => end_ts)
    assert.ok(
      ends.some((end) => end.greaterThanOrEqual(written)),
      outputs(cluster),
    )
  })
})
