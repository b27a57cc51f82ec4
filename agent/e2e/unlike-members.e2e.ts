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

const host = new PluginHost({ resolveFrom: import.meta.url })

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

  it('is restored with its indexes while a member is down, for which they wait where somebody asks for that', async () => {
    const { admin, set } = cluster
    await admin.db('work').collection('people').createIndex({ home: 1 }, { commitQuorum: 'majority' })
    const { name, status } = await backupEnded(cluster, await cluster.backup())
    assert.equal(status, 'done', outputs(cluster))
    await unlocked(cluster)
    const { hosts, primary } = await admin.db('admin').command({ hello: 1 })
    const away = set.members.find((member) => member.host !== primary && hosts.includes(member.host))
    assert.ok(away)
    await away.kill('SIGKILL')
    const free = await restoreEnded(cluster, await cluster.restore(name))
    assert.deepEqual([free.status, free.error ?? ''], ['done', ''], outputs(cluster))
    assert.ok(outputs(cluster).includes(`${away.host}: indexes do not wait for it`), outputs(cluster))
    await unlocked(cluster)
    await setConfigKeys(cluster.leader, [{ key: 'restore.indexCommitQuorum', value: '2' }], host)
    const waiting = await cluster.restore(name)
    const told = `indexes are not done before ${away.host} has built them, as the commit quorum 2 asks for`
    await until('the member to be named', async () => outputs(cluster).includes(told))
    await away.restart()
    const asked = await restoreEnded(cluster, waiting)
    assert.deepEqual([asked.status, asked.error ?? ''], ['done', ''], outputs(cluster))
    const built = await admin.db('work').collection('people').indexes()
    assert.ok(built.some(({ key }) => 'home' in key))
  })
})
