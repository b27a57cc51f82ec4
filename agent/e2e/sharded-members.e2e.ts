import assert from 'node:assert/strict'
import { snapshotShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, listChunks } from '@pbmkit/core'
import { filesystemConfig, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { assertSameState, storedUpTo } from './sharded-state.support.js'

describe('a sharded cluster whose shard has three members', function () {
  this.timeout(180_000)
  let bench: ShardedBench

  before(async () => {
    bench = await startShardedBench({ shards: 1, membersPerReplset: 3, configMembers: 1 })
    await bench.configure(filesystemConfig(bench.storage, 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'))
    const { cluster } = bench
    await cluster.createDatabase('shop', 's1')
    await cluster.shardCollection('shop.orders', { key: { _id: 1 } })
    await write(1_000)
  })
  after(async () => {
    await bench?.stop()
  })

  let written = 0
  async function write(count: number): Promise<void> {
    const orders = (await bench.cluster.shard('s1').set.client()).db('shop').collection<{ _id: number }>('orders')
    const documents = Array.from({ length: count }, (_, n) => ({ _id: written + n, text: `order ${written + n}` }))
    await orders.insertMany(documents, { writeConcern: { w: 'majority' } })
    written += count
  }
  it('is backed up from a secondary, sliced through an election, and restored on the new primary', async () => {
    const { cluster, leader } = bench
    const { set } = cluster.shard('s1')
    const done = await backUp(bench)
    const first = await set.primary()
    const dumped = done.replsets.find((part) => part.name === 's1')?.node
    assert.ok(set.members.some(({ host }) => host === dumped))
    assert.notEqual(dumped, first.host)

    await until('the shard to be sliced', async () => (await listChunks(leader)).some(({ rs }) => rs === 's1'))
    await write(500)
    const second = await set.stepDown()
    assert.notEqual(second.host, first.host)
    await cluster.refresh('shop.orders')
    await write(500)
    const wanted = await snapshotShardedState(cluster)
    const time = await clusterTime(await set.client())
    await write(500)
    const ranges = await storedUpTo(bench, await clusterTime(await set.client()))
    assert.equal(ranges.length, 1)

    await bench.agentsWell()
    const restored = await restore(bench, done.name, { oplogTS: time })
    assert.equal(restored.replsets.find((part) => part.name === 's1')?.node, second.host)
    assertSameState(wanted, await snapshotShardedState(cluster))
  })
})
