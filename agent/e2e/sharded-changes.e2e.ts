import assert from 'node:assert/strict'
import { snapshotShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, databaseRole, listChunks, listSlicerLocks, optime, sendCommand } from '@pbmkit/core'
import { type Db, type Document, type MongoClient, Timestamp } from 'mongodb'
import {
  backupEnded,
  filesystemConfig,
  outputs,
  restoreEnded,
  sendBackup,
  sendRestore,
  unlocked,
  until,
} from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { assertSameState, slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts, sumOfAccounts, TOTAL } from './sharded-transfers.support.js'

/** Entries of the test, in `bank.orders`. */
const ORDERS = 60

describe('a sharded cluster that changes while its oplog is stored', () => {
  let bench: ShardedBench

  before(async () => {
    const test = ['enableTestCommands=1', 'reshardingMinimumOperationDurationMillis=0']
    bench = await startShardedBench({
      shards: [{ name: 's1' }, { name: 's2' }, { name: 's3', later: true }, { name: 's4', later: true }],
      mongodArgs: test.flatMap((one) => ['--setParameter', one]),
    })
    await bench.configure(filesystemConfig(bench.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.03\n'))
    await loadAccounts(bench.cluster)
    const { cluster } = bench
    await cluster.setBalancer('off')
    await cluster.shardCollection('bank.orders')
    for (const { id, set } of cluster.shards) {
      const orders = Array.from({ length: ORDERS / 2 }, (_, n) => ({ n: id === 's1' ? n : n + ORDERS / 2 }))
      await (await set.client()).db('bank').collection('orders').insertMany(orders)
    }
  })
  after(async () => {
    await bench?.stop()
  })

  it('is followed through renames, drops, changed options, refined keys and moved primary shards', async () => {
    const { cluster } = bench
    for (const ns of ['bank.old', 'bank.gone']) await cluster.shardCollection(ns)
    await cluster.moveRange('bank.moving', 's2', { min: { _id: 100 }, waitForDelete: true })
    await onShards((db) => db.collection('moving').createIndex({ _id: 1, balance: 1 }))
    const { name } = await backUp(bench)
    await slicedEverywhere(bench)
    await onShards((db, id) => db.collection<{ _id: string }>('old').insertOne({ _id: `late on ${id}` }))
    await ofDatabase('bank', {
      _shardsvrRenameCollection: 'old',
      to: 'bank.renamed',
      dropTarget: false,
      stayTemp: false,
    })
    await ofDatabase('bank', { _shardsvrDropCollection: 'gone' })
    await ofDatabase('bank', { _shardsvrCollMod: 'accounts', validationLevel: 'moderate' })
    await ofDatabase('bank', { _shardsvrRefineCollectionShardKey: 'moving', newShardKey: { _id: 1, balance: 1 } })
    await ofDatabase('side', { _shardsvrMovePrimary: 'side', to: 's1' }, 'admin')
    const expected = await snapshotShardedState(cluster)
    const time = await nextSecond()
    await onShards((db) => db.dropCollection('renamed'))
    await storedUpTo(bench, time)
    await restore(bench, name, { oplogTS: time })
    assertSameState(expected, await snapshotShardedState(cluster))
    assert.equal(await sumOfAccounts(cluster), TOTAL)
  })

  it('can be restored to no time after a resharding, and to all before, also with a backup made while it ran', async () => {
    const { cluster } = bench
    const expected = await snapshotShardedState(cluster)
    const before = await backUp(bench)
    // Else a slicer that comes late begins at the second backup, and there is a gap after the first.
    await until('every slicer to have begun', async () => {
      const later = (await listChunks(bench.leader)).filter(({ end_ts }) => end_ts.greaterThan(before.last_write_ts))
      return new Set(later.map(({ rs }) => rs)).size === cluster.replsets.length
    })
    const resharding = await heldResharding()
    try {
      const refused = await restoreFails(before.name)
      assert.match(refused, /bank\.orders is being resharded/)
      const { name } = await backUp(bench)
      await slicedEverywhere(bench)
      const midst = await nextSecond()
      await resharding.end()
      const late = await nextSecond()
      await chunksUpTo(late)
      const ranges = await storedUpTo(bench, midst)
      assert.ok((ranges.at(-1)?.end ?? 0n) < optime(late))
      const after = await snapshotShardedState(cluster)
      for (const base of [name, before.name]) {
        assert.match(await restoreFails(base, late), /collection bank\.orders was resharded at/)
      }
      assert.match(await unnoted(() => restoreFails(name, late)), /reshard/)
      assertSameState(after, await snapshotShardedState(cluster))
      // Of others, the time can be restored to.
      const chosen = await onShards(async (db) => await db.collection('accounts').find().sort({ _id: 1 }).toArray())
      await onShards(async (db) => await db.collection('accounts').updateMany({}, { $set: { spoilt: true } }))
      await restore(bench, before.name, { nss: ['bank.accounts'], oplogTS: late })
      assert.deepEqual(
        await onShards(async (db) => await db.collection('accounts').find().sort({ _id: 1 }).toArray()),
        chosen,
      )
      assert.match(await restoreFails(name, late, { nss: ['bank.orders'] }), /bank\.orders/)
      await restore(bench, name, { oplogTS: midst })
      assertSameState(expected, await snapshotShardedState(cluster))
      const orders = await collectionOf('bank.orders')
      assert.deepEqual(
        [orders?.key, orders?.allowMigrations, orders?.reshardingFields],
        [{ _id: 'hashed' }, undefined, undefined],
      )
      const chunks = bench.leader.db('config').collection('chunks')
      const one = await chunks.findOne({ uuid: orders?.uuid, shard: 's1' }, { promoteValues: false })
      await cluster.moveRange('bank.orders', 's2', { min: one?.min, max: one?.max })
    } finally {
      await resharding.end()
    }
  })

  it('is followed past a shard that was added empty', async () => {
    const { cluster } = bench
    const { name } = await backUp(bench)
    await slicedEverywhere(bench)
    await addShard('s3')
    await slicedBy('cfg', 's1', 's2', 's3')
    await cluster.moveRange('bank.accounts', 's3', { max: { _id: 20 }, waitForDelete: true })
    const s3 = await cluster.shard('s3').set.client()
    await s3
      .db('bank')
      .collection<{ _id: number }>('accounts')
      .updateOne({ _id: 7 }, { $set: { note: 'on s3' } })
    const expected = await snapshotShardedState(cluster)
    const late = await nextSecond()
    await cluster.moveRange('bank.accounts', 's1', { max: { _id: 20 }, waitForDelete: true })
    await storedUpTo(bench, late)
    // As on a new cluster: what slicers noted is gone.
    await bench.leader.db('admin').collection('pbmPITRChunks').deleteMany({})
    await sendCommand(bench.leader, { cmd: 'resync' })
    await storedUpTo(bench, late)
    await unlocked(bench)
    await restore(bench, name, { oplogTS: late })
    assertSameState(expected, await snapshotShardedState(cluster))
    assert.equal(await sumOfAccounts(cluster), TOTAL)
    await cluster.moveRange('bank.accounts', 's1', { max: { _id: 20 }, waitForDelete: true })
  })

  it('can be restored to no time after a shard was removed, or added full, until there is a backup of it', async () => {
    const { cluster } = bench
    await backUp(bench)
    await slicedBy('cfg', 's1', 's2', 's3')
    const before = await nextSecond()
    await storedUpTo(bench, before)
    await cluster.removeShard('s3')
    const removed = await nextSecond()
    await chunksUpTo(removed)
    assert.ok(((await storedUpTo(bench, before)).at(-1)?.end ?? 0n) < optime(removed))
    await slicedBy('cfg', 's1', 's2')

    const { name } = await backUp(bench)
    await slicedBy('cfg', 's1', 's2')
    const { set } = await addShard('s4')
    // Not in its oplog, as what a server had before it became a replica set.
    await (await set.client()).db('own').command({ godinsert: 'older', obj: { _id: 1 } })
    const added = await nextSecond()
    await chunksUpTo(added)
    await until('a word on s4', async () => /its oplog does not have how own\.older was made/.test(outputs(bench)))
    await slicedBy('cfg', 's1', 's2')
    const after = await snapshotShardedState(cluster)
    assert.match(await restoreFails(name, added), /shard s4 was added at .*only a backup made after it/)
    assert.match(await unnoted(() => restoreFails(name, added)), /shard s4 was added at/)
    assertSameState(after, await snapshotShardedState(cluster))
    await restore(bench, name)
    assert.equal(await sumOfAccounts(cluster), TOTAL)
  })

  it('is backed up when no shard is ahead of the others with a change of a collection, and restored after one', async () => {
    const s1 = await bench.cluster.shard('s1').set.client()
    // As the server notes it: for as long as it lasts.
    const notes = s1.db('config').collection<{ _id: Document }>('system.sharding_ddl_coordinators')
    const _id = { namespace: 'bank.moving', operationType: 'renameCollection' }
    await notes.insertOne({ _id })
    const name = await sendBackup(bench.leader)
    await until('the backup to wait', async () => /waits for renameCollection of bank\.moving/.test(outputs(bench)))
    await notes.deleteOne({ _id })
    const { status, error } = await backupEnded(bench, name)
    assert.deepEqual([status, error ?? ''], ['done', ''], outputs(bench))
    await unlocked(bench)
    // Shards remember a later version of its routing table than the backup has.
    await ofDatabase('bank', {
      _shardsvrRenameCollection: 'moving',
      to: 'bank.moved',
      dropTarget: false,
      stayTemp: false,
    })
    await restore(bench, name)
  })

  /** With agents beside its members. */
  async function addShard(id: string) {
    const shard = await bench.cluster.addShard(id)
    await shard.set.createUser(databaseRole('agent', { sharded: true }))
    for (const member of shard.set.members) await bench.startAgent(shard.set, member)
    return shard
  }

  /** In database `bank`. */
  async function onShards<T>(work: (db: Db, id: string) => Promise<T>): Promise<T[]> {
    const results: T[] = []
    for (const { id, set } of bench.cluster.shards) results.push(await work((await set.client()).db('bank'), id))
    return results
  }

  /** What a mongos would send to the primary shard of `db`. */
  async function ofDatabase(db: string, command: Document, to = db): Promise<void> {
    const databases = bench.leader.db('config').collection<{ _id: string } & Document>('databases')
    const found: Document | null = await databases.findOne({ _id: db })
    const databaseVersion = found?.version
    const shard = await bench.cluster.shard(found?.primary).set.client()
    await shard.db(to).command({ ...command, databaseVersion, writeConcern: { w: 'majority' } })
  }

  /** The reason; nothing must have changed. */
  async function restoreFails(
    backup: string,
    oplogTS?: Timestamp,
    more: Parameters<typeof sendRestore>[2] = {},
  ): Promise<string> {
    const name = await sendRestore(bench.leader, backup, { ...more, ...(oplogTS === undefined ? {} : { oplogTS }) })
    const { status, error } = await restoreEnded(bench, name)
    await unlocked(bench)
    assert.equal(status, 'error', outputs(bench))
    return error ?? ''
  }

  /** The first whole second that all that was written lies before. Every replica set has an entry after it. */
  async function nextSecond(): Promise<Timestamp> {
    const { t } = await clusterTime(bench.leader)
    await until('the next second of the cluster', async () => (await clusterTime(bench.leader)).t > t)
    for (const { set } of bench.cluster.shards) {
      await passTimeTo(await set.client())
    }
    return new Timestamp({ t: t + 1, i: 0 })
  }

  /** An entry after all that the config servers have written. */
  async function passTimeTo(client: MongoClient): Promise<void> {
    const { $clusterTime } = await bench.leader.db('admin').command({ ping: 1 })
    await client.withSession(async (session) => {
      session.advanceClusterTime($clusterTime)
      await client.db('admin').command({ appendOplogNote: 1, data: { test: true } }, { session })
    })
  }

  /** What changed the cluster before is known then. */
  async function chunksUpTo(time: Timestamp): Promise<void> {
    for (const rs of ['cfg', 's1', 's2']) {
      await until(`the oplog of ${rs} to be stored`, async () =>
        (await listChunks(bench.leader, { rs })).some(({ end_ts }) => end_ts.greaterThanOrEqual(time)),
      )
    }
  }

  async function slicedBy(...replsets: string[]): Promise<void> {
    await until(`only ${replsets} to store their oplog`, async () => {
      const locks = await listSlicerLocks(bench.leader, { type: 'pitr' })
      return String(locks.map(({ replset }) => replset).sort()) === String(replsets)
    })
  }

  /** As where another tool stored the oplog, or a resync found it: nothing but the oplog itself tells. */
  async function unnoted<T>(work: () => Promise<T>): Promise<T> {
    const chunks = bench.leader.db('admin').collection('pbmPITRChunks')
    const noted = { barriers: { $exists: true } }
    await chunks.updateMany(noted, { $rename: { barriers: 'noted' } })
    try {
      return await work()
    } finally {
      await chunks.updateMany({ noted: { $exists: true } }, { $rename: { noted: 'barriers' } })
    }
  }

  async function collectionOf(ns: string): Promise<Document | null> {
    return await bench.leader.db('config').collection<{ _id: string } & Document>('collections').findOne({ _id: ns })
  }

  /** A resharding that stands still before it counts. */
  async function heldResharding() {
    const admin = (await bench.cluster.config.client()).db('admin')
    const hold = 'reshardingPauseCoordinatorBeforeBlockingWrites'
    await admin.command({ configureFailPoint: hold, mode: 'alwaysOn' })
    const write = { writeConcern: { w: 'majority' } }
    const running = admin.command({
      _configsvrReshardCollection: 'bank.orders',
      key: { n: 1 },
      unique: false,
      numInitialChunks: 4,
      ...write,
    })
    running.catch(() => undefined)
    await until('the resharding to apply the oplog', async () => {
      const found = await bench.leader.db('config').collection('reshardingOperations').findOne({})
      return found?.state === 'applying'
    })
    return {
      end: async () => {
        await admin.command({ configureFailPoint: hold, mode: 'off' })
        await running
      },
    }
  }
})
