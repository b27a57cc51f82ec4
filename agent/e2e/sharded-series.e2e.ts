import assert from 'node:assert/strict'
import { snapshotShardedState } from '@pbmkit/conformance/testbed'
import type { Document } from 'mongodb'
import { filesystemConfig, outputs, restoreEnded, sendRestore, unlocked } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { compareChosen, ofDatabase, routedState } from './sharded-selective.support.js'
import { assertSameState, nextSecond, slicedEverywhere, storedUpTo } from './sharded-state.support.js'

const PITR = 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'

describe('sharded time series', function () {
  this.timeout(300_000)
  let bench: ShardedBench

  before(async () => {
    bench = await startShardedBench()
    await bench.configure(filesystemConfig(bench.storage, PITR))
    await bench.cluster.setBalancer('off')
    await bench.cluster.createDatabase('bank', 's1')
    await shardSeries('rates')
  })
  after(() => bench?.stop())

  const inBank = async (shard: string) => (await bench.cluster.shard(shard).set.client()).db('bank')

  /** What is measured by 50 and more is on s2, which has no more of it than the buckets. */
  async function shardSeries(name: string): Promise<void> {
    const { cluster } = bench
    const buckets = `bank.system.buckets.${name}`
    const timeseries = { timeField: 't', metaField: 'm', granularity: 'minutes' }
    await ofDatabase(cluster, 'bank', {
      ...{ _shardsvrCreateCollection: name, shardKey: { m: 1 }, presplitHashedZones: false },
      timeseries: { ...timeseries },
    })
    await cluster.refresh(buckets)
    await (await inBank('s1')).command({
      createIndexes: name,
      indexes: [{ key: { 'm.of': 1, t: -1 }, name: 'by' }],
      commitQuorum: 1,
    })
    await measure('s1', name, [1, 2, 60])
    await cluster.moveRange(buckets, 's2', { min: { meta: 50 }, waitForDelete: true })
    await measure('s2', name, [60, 70])
    const there = (await (await inBank('s2')).listCollections({}, { nameOnly: true }).toArray()).map((one) => one.name)
    assert.ok(there.includes(`system.buckets.${name}`) && !there.includes(name), there.join())
  }

  async function measure(shard: string, name: string, by: readonly number[]): Promise<void> {
    const series = (await inBank(shard)).collection<Document>(name)
    for (const m of by) await series.insertOne({ t: new Date(1_700_000_000_000 + m), m, rate: m / 2 })
  }

  /** Shards and routing tables have to agree on them. */
  async function assertSameUuids(): Promise<void> {
    const config = (await bench.cluster.config.client()).db('config')
    const listed = await config
      .collection<{ _id: string } & Document>('collections')
      .find({ _id: /^bank\./ })
      .toArray()
    assert.ok(listed.length > 0)
    for (const shard of ['s1', 's2']) {
      const found = await (await inBank(shard)).listCollections({ name: /buckets/ }, { nameOnly: false }).toArray()
      const uuids = found.map(({ name, info }) => [`bank.${name}`, String(info?.uuid)])
      assert.deepEqual(
        new Map(uuids as [string, string][]),
        new Map(listed.map(({ _id, uuid }) => [_id, String(uuid)])),
      )
    }
  }

  async function spoil(): Promise<void> {
    for (const shard of ['s1', 's2']) await (await inBank(shard)).collection('system.buckets.rates').deleteMany({})
    await bench.cluster.moveRange('bank.system.buckets.rates', 's1', { min: { meta: 50 }, waitForDelete: true })
  }

  for (const layout of ['objects', 'archive']) {
    it(`come back on shards that have their buckets alone: layout ${layout}`, async () => {
      const more = layout === 'archive' ? 'backup: {layout: archive}\n' : ''
      await bench.configure(filesystemConfig(bench.storage, `${PITR}${more}`))
      const { name } = await backUp(bench)
      const then = await snapshotShardedState(bench.cluster)
      await spoil()
      await restore(bench, name)
      assertSameState(then, await snapshotShardedState(bench.cluster))
      await assertSameUuids()
      await ofDatabase(bench.cluster, 'bank', { _shardsvrDropDatabase: 1 })
      await restore(bench, name)
      assertSameState(then, await snapshotShardedState(bench.cluster))
      await assertSameUuids()
    })
  }

  it('are brought back alone, in their place and beside it, of full backups and selective ones', async () => {
    const { cluster } = bench
    const nss = ['bank.rates']
    for (const given of [{}, { nss }]) {
      const { name } = await backUp(bench, given)
      const then = await routedState(cluster)
      await spoil()
      const before = await routedState(cluster)
      await restore(bench, name, { nss })
      assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
      await assertSameUuids()
      await restore(bench, name, { nsFrom: 'bank.rates', nsTo: 'bank.copy' })
      const { shards, shown } = await routedState(cluster)
      await assertSameUuids()
      assert.equal(shown['bank.system.buckets.copy'], shown['bank.system.buckets.rates'])
      for (const id of ['s1', 's2']) {
        const [one, other] = ['rates', 'copy'].map((of) => shards[id]?.bank?.[`system.buckets.${of}`])
        assert.deepEqual({ ...one, uuid: '' }, { ...other, uuid: '' })
      }
      await ofDatabase(cluster, 'bank', { _shardsvrDropCollection: 'copy' })
    }
  })

  it('come back at a time, also those that were made after the backup', async () => {
    const { cluster } = bench
    const { name } = await backUp(bench)
    await slicedEverywhere(bench)
    await measure('s2', 'rates', [71, 60])
    await cluster.moveRange('bank.system.buckets.rates', 's1', {
      ...{ min: { meta: 50 }, max: { meta: 65 }, waitForDelete: true },
    })
    await shardSeries('later')
    const state = await snapshotShardedState(cluster)
    const oplogTS = await nextSecond(bench)
    await spoil()
    await measure('s2', 'later', [80])
    await storedUpTo(bench, oplogTS)
    await restore(bench, name, { oplogTS })
    assertSameState(state, await snapshotShardedState(cluster))
    await assertSameUuids()
    await ofDatabase(cluster, 'bank', { _shardsvrDropDatabase: 1 })
    await restore(bench, name, { oplogTS })
    assertSameState(state, await snapshotShardedState(cluster))
    await assertSameUuids()

    const then = await routedState(cluster)
    await spoil()
    await measure('s2', 'later', [81])
    const before = await routedState(cluster)
    const nss = ['bank.rates', 'bank.later']
    await restore(bench, name, { nss, oplogTS })
    assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
    await assertSameUuids()
  })

  it('are missed before anything is dropped, where a backup lacks what a shard had of them', async () => {
    await (await inBank('s2')).collection('system.buckets.rates').drop()
    // The oplog of the backup begins with the last entry before it, which must not be the drop.
    await (await inBank('s2')).collection('note').insertOne({})
    const { name } = await backUp(bench)
    const before = await snapshotShardedState(bench.cluster)
    const { status, error = '' } = await restoreEnded(bench, await sendRestore(bench.leader, name))
    assert.equal(status, 'error', outputs(bench))
    assert.match(error, /lacks what bank\.system\.buckets\.rates had on shard s2.*Nothing of the data was changed/)
    await unlocked(bench)
    assertSameState(before, await snapshotShardedState(bench.cluster))
  })
})
