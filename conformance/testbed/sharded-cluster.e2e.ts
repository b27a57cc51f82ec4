import assert from 'node:assert/strict'
import { type ShardedCluster, startShardedCluster } from './sharded-cluster.js'
import { compareShardedStates, snapshotShardedState } from './sharded-state.js'

interface Numbered {
  _id: number
  n: number
}

describe('Sharded cluster', () => {
  let cluster: ShardedCluster

  before(async () => {
    cluster = await startShardedCluster({ auth: true, shards: [{ name: 's1' }, { name: 'second', id: 's2' }] })
    await cluster.createDatabase('shop', 's1')
  })
  after(async () => {
    await cluster?.stop()
  })

  const collectionOn = async (id: string, name: string) =>
    (await cluster.shard(id).set.client()).db('shop').collection<Numbered>(name)

  it('spreads a hashed collection over its shards, under one UUID', async () => {
    await cluster.shardCollection('shop.orders')
    const { shards, collections, chunks } = await snapshotShardedState(cluster)
    assert.equal(shards.s1?.shop?.orders?.uuid, shards.s2?.shop?.orders?.uuid)
    assert.deepEqual(
      collections.map(({ _id }) => _id),
      ['shop.orders'],
    )
    assert.deepEqual(chunks.map(({ shard }) => shard).sort(), ['s1', 's1', 's2', 's2'])
  })

  it('moves ranges with their documents', async () => {
    await cluster.shardCollection('shop.lines', { key: { _id: 1 } })
    const source = await collectionOn('s1', 'lines')
    await source.insertMany(Array.from({ length: 10 }, (_, _id) => ({ _id, n: _id })))
    await cluster.moveRange('shop.lines', 's2', { min: { _id: 6 }, waitForDelete: true })
    const target = await collectionOn('s2', 'lines')
    assert.equal(await source.countDocuments(), 6)
    assert.equal(await target.countDocuments(), 4)
  })

  it('commits transactions on all shards, aborts them on all, and leaves both in the oplogs', async () => {
    const [one, two] = [await collectionOn('s1', 'lines'), await collectionOn('s2', 'lines')]
    const add = (_id: number, by: number) => ({ update: 'lines', updates: [{ q: { _id }, u: { $inc: { n: by } } }] })
    await cluster.transaction(async (run) => {
      await run('s1', 'shop', add(1, -5))
      await run('s2', 'shop', add(7, 5))
    })
    await cluster.transaction(async (run, { abort }) => {
      await run('s1', 'shop', add(1, -100))
      await run('s2', 'shop', add(7, 100))
      abort()
    })
    assert.equal((await one.findOne({ _id: 1 }))?.n, -4)
    assert.equal((await two.findOne({ _id: 7 }))?.n, 12)
    for (const { set } of cluster.shards) {
      const oplog = (await set.client()).db('local').collection('oplog.rs')
      assert.equal(await oplog.countDocuments({ 'o.prepare': true }), 1)
      assert.equal(await oplog.countDocuments({ 'o.commitTransaction': 1 }), 1)
    }
  })

  it('tells states apart by documents, chunks and primary shards', async () => {
    const before = await snapshotShardedState(cluster)
    assert.deepEqual(compareShardedStates(before, await snapshotShardedState(cluster)), [])
    await cluster.moveRange('shop.lines', 's2', { max: { _id: 2 }, waitForDelete: true })
    const after = await snapshotShardedState(cluster)
    const differences = compareShardedStates(before, after)
    assert.ok(differences.some((line) => line.startsWith('shard s1: shop.lines: count')))
    assert.ok(differences.some((line) => /^chunk \d+: shard "s1" became "s2"/.test(line)))
    const moved = { ...after, databases: after.databases.map((database) => ({ ...database, primary: 's2' })) }
    assert.deepEqual(compareShardedStates(after, moved), ['database shop: primary "s1" became "s2"'])
    const named = compareShardedStates(before, before, { shardIds: { s1: 'other' } })
    assert.ok(named.includes('database shop: primary "other" became "s1"'))
  })
})
