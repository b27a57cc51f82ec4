import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { snapshotShardedState } from '@pbmkit/conformance/testbed'
import { balancerStatus, clusterMembers, documentsIn, isTimestampSet, listAgents, nodeInfo } from '@pbmkit/core'
import { BSON, type Document, type UUID } from 'mongodb'
import { backupEnded, filesystemConfig, outputs, sendBackup, unlocked } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { assertSameState } from './sharded-state.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.support.js'

/** After this time a shard deletes the documents of chunks that it gave away. */
const CLEANUP_SECONDS = 8

describe('a sharded cluster', () => {
  let bench: ShardedBench

  before(async () => {
    bench = await startShardedBench({
      shards: [{ name: 's1' }, { name: 'second', id: 's2' }],
      mongodArgs: ['--setParameter', `orphanCleanupDelaySecs=${CLEANUP_SECONDS}`],
    })
    await bench.configure(filesystemConfig(bench.storage))
    await loadAccounts(bench.cluster)
  })
  after(async () => {
    await bench?.stop()
  })

  it('is found from any shard, and its replica sets are told apart from their shard ids', async () => {
    const members = await clusterMembers(bench.leader)
    assert.deepEqual(
      members.map(({ rs, id }) => [rs, id]),
      [
        ['cfg', 'config'],
        ['s1', 's1'],
        ['second', 's2'],
      ],
    )
    const agents = await listAgents(bench.leader)
    assert.deepEqual(agents.map(({ rs }) => rs).sort(), ['cfg', 's1', 'second'])
    for (const { id, set } of bench.cluster.shards) {
      const info = await nodeInfo(await set.client())
      assert.deepEqual([info.isClusterLeader, info.isSharded, info.shardId], [false, true, id])
    }
  })

  it('is backed up at one cluster time, idle as it is, and gets its balancer back', async () => {
    await bench.cluster.setBalancer('full')
    const done = await backUp(bench)
    assert.deepEqual(done.shardRemap, { cfg: 'config', second: 's2' })
    assert.equal(done.balancer, 'full')
    assert.equal((await balancerStatus(bench.leader)).mode, 'full')
    assert.deepEqual(done.replsets.map(({ name, status, iscs }) => [name, status, iscs === true]).sort(), [
      ['cfg', 'done', true],
      ['s1', 'done', false],
      ['second', 'done', false],
    ])
    for (const { last_write_ts } of done.replsets) {
      assert.ok(isTimestampSet(last_write_ts) && last_write_ts.greaterThanOrEqual(done.last_write_ts))
      assert.ok(done.last_write_ts.greaterThan(done.first_write_ts))
    }
    await bench.cluster.setBalancer('off')
    await backUp(bench)
    assert.equal((await balancerStatus(bench.leader)).mode, 'off')
  })

  it('has in a selective backup the routing documents of what was chosen', async () => {
    const ns = 'bank.accounts'
    const config = (await bench.cluster.config.client()).db('config')
    const chosen = await config.collection<{ _id: string; uuid: UUID }>('collections').findOne({ _id: ns })
    assert.ok(chosen && (await config.collection('collections').countDocuments()) > 1)
    const name = await sendBackup(bench.leader, { nss: [ns], compression: 'none' })
    assert.equal((await backupEnded(bench, name)).status, 'done', outputs(bench))
    await unlocked(bench)
    const read = async (collection: string) =>
      [...documentsIn(await readFile(join(bench.storage, name, 'cfg', `config.${collection}`)))].map(
        (document) => BSON.deserialize(document) as Document,
      )
    assert.deepEqual(
      (await read('databases')).map(({ _id }) => _id),
      ['bank'],
    )
    assert.deepEqual(
      (await read('collections')).map(({ _id }) => _id),
      [ns],
    )
    const chunks = await read('chunks')
    assert.equal(chunks.length, await config.collection('chunks').countDocuments({ uuid: chosen.uuid }))
    assert.ok(chunks.every(({ uuid }) => String(uuid) === String(chosen.uuid)))
  })

  it('is restored exactly, with chunks, zones and primary shards, whatever happened since', async () => {
    const { cluster } = bench
    await cluster.createDatabase('later', 's1')
    const before = await snapshotShardedState(cluster)
    const { name } = await backUp(bench)
    // Within the chunk, whether the balancer had the time to split it at the zone or not.
    await cluster.moveRange('bank.accounts', 's1', { min: { _id: 70 }, max: { _id: 500 }, waitForDelete: true })
    await cluster.moveRange('bank.accounts', 's2', { max: { _id: 20 } })
    await cluster.createDatabase('new', 's2')
    await cluster.shardCollection('bank.more')
    for (const { set } of cluster.shards) {
      const db = (await set.client()).db('bank')
      await db.collection('accounts').updateMany({}, { $set: { spoilt: true } })
      await db.collection('more').insertOne({ on: set.name })
    }
    const s2 = await cluster.shard('s2').set.client()
    await s2.db('side').dropDatabase()
    const databases = (await cluster.config.client())
      .db('config')
      .collection<{ _id: string; version: Document }>('databases')
    const { version } = (await databases.findOne({ _id: 'later' })) ?? {}
    const drop = { _shardsvrDropDatabase: 1, databaseVersion: version, writeConcern: { w: 'majority' } }
    await (await cluster.shard('s1').set.client()).db('later').command(drop)
    await cluster.createDatabase('later', 's2')
    await s2.db('later').collection('hidden').insertOne({})
    await restore(bench, name)
    // Of a database that only the routing tables of the backup know, nothing is left where no mongos would look for it.
    assert.deepEqual(await s2.db('later').listCollections().toArray(), [])
    const after = await snapshotShardedState(cluster)
    // What the backup does not have stays.
    assert.ok(after.databases.some(({ _id }) => _id === 'new'))
    const shown = after.databases.filter(({ _id }) => _id !== 'new')
    assertSameState(before, { ...after, databases: shown })
    await sleep((CLEANUP_SECONDS + 2) * 1000)
    // Nothing that a shard had planned before the restore may hit what came back.
    assertSameState(before, { ...(await snapshotShardedState(cluster)), databases: shown })
    await cluster.moveRange('bank.accounts', 's2', { max: { _id: 30 }, waitForDelete: true })
    assert.equal(await sumOfAccounts(cluster), TOTAL)
  })

  it('keeps the sum of all accounts when backed up under transfers between shards and moves of chunks', async () => {
    const { cluster } = bench
    const transfers = new Transfers(cluster)
    const running = transfers.run()
    let to = 's1'
    try {
      const backups: string[] = []
      for (let n = 0; n < 2; n++) {
        const name = await sendBackup(bench.leader)
        backups.push(name)
        to = to === 's1' ? 's2' : 's1'
        await cluster.moveRange('bank.moving', to, { waitForDelete: true })
        const ended = await backupEnded(bench, name)
        await unlocked(bench)
        assert.equal(ended.status, 'done', `${ended.error}\n${outputs(bench)}`)
      }
      transfers.stop()
      await running
      assert.ok(transfers.done > 10, `only ${transfers.done} transfers`)
      for (const name of backups) {
        await restore(bench, name)
        assert.equal(await sumOfAccounts(cluster), TOTAL, name)
      }
    } finally {
      transfers.stop()
      await running
    }
  })
})
