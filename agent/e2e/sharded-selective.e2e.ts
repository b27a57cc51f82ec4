import assert from 'node:assert/strict'
import { randomWork, seededRandom } from '@pbmkit/conformance/testbed'
import { balancerStatus, clusterTime, findRestore, type RestoreCommand } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { filesystemConfig, outputs, restoreEnded, sendRestore, unlocked, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { compareChosen, ofDatabase, type RoutedState, routedState, shardedWork } from './sharded-selective.support.js'
import { slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts } from './sharded-transfers.support.js'

const SEED = Number(process.env.PBMKIT_SEED ?? Date.now() % 1_000_000)
const PITR = 'pitr: {enabled: true, oplogSpanMin: 0.05}\n'

interface Moment {
  readonly time: Timestamp
  readonly state: RoutedState
}

describe(`restores of chosen namespaces of a sharded cluster (PBMKIT_SEED=${SEED})`, function () {
  this.timeout(300_000)
  const random = seededRandom(SEED)
  const moments: Moment[] = []
  let bench: ShardedBench
  let base = ''

  before(async () => {
    bench = await startShardedBench({ shards: [{ name: 's1' }, { name: 'second', id: 's2' }] })
    await bench.configure(filesystemConfig(bench.storage, PITR))
    const { cluster } = bench
    await loadAccounts(cluster)
    await cluster.setBalancer('off')
    await cluster.createDatabase('work', 's2')
    await work(30)
    base = (await backUp(bench)).name
    await slicedEverywhere(bench)
    for (let n = 0; n < 3; n++) {
      await work(20)
      moments.push({ state: await routedState(cluster), time: await nextSecond() })
    }
  })
  after(() => bench?.stop())

  async function work(steps: number): Promise<void> {
    const { cluster } = bench
    await shardedWork(cluster, 'work', { random, steps })
    await randomWork(await cluster.shard('s2').set.client(), ['side'], random, steps)
  }

  /** All that was written lies before it, and every replica set writes something after it. */
  async function nextSecond(): Promise<Timestamp> {
    const { t } = await clusterTime(bench.leader)
    await until('the next second of the cluster', async () => (await clusterTime(bench.leader)).t > t)
    const { $clusterTime } = await bench.leader.db('admin').command({ ping: 1 })
    for (const { set } of bench.cluster.shards) {
      const client = await set.client()
      await client.withSession(async (session) => {
        session.advanceClusterTime($clusterTime)
        await client.db('admin').command({ appendOplogNote: 1, data: { test: true } }, { session })
      })
    }
    return new Timestamp({ t: t + 1, i: 0 })
  }

  async function refused(backup: string, command: Partial<RestoreCommand>, reason: RegExp): Promise<void> {
    const before = await routedState(bench.cluster)
    const { status, error } = await restoreEnded(bench, await sendRestore(bench.leader, backup, command))
    await unlocked(bench)
    assert.equal(status, 'error')
    assert.match(error ?? '', reason)
    assert.match(error ?? '', /Nothing of the data was changed/)
    assert.deepEqual(await routedState(bench.cluster), before)
  }

  it('bring back what a full backup has of it, with its chunks and zones, and leave all else', async () => {
    const { cluster, leader } = bench
    await cluster.setBalancer('full')
    await cluster.setBalancer('off')
    const { name } = await backUp(bench)
    const then = await routedState(cluster)
    await cluster.moveRange('bank.accounts', 's1', { min: { _id: 70 }, max: { _id: 500 }, waitForDelete: true })
    for (const { set } of cluster.shards) {
      const db = (await set.client()).db('bank')
      for (const one of ['accounts', 'moving']) await db.collection(one).updateMany({}, { $set: { spoilt: true } })
    }
    await cluster.moveRange('bank.moving', 's2', { min: { _id: 150 }, waitForDelete: true })
    await (await cluster.shard('s2').set.client()).db('side').collection('notes').drop()
    const before = await routedState(cluster)
    const old = await listed('bank.accounts')
    const nss = ['bank.accounts', 'side.notes']
    await restore(bench, name, { nss })
    assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(cluster) }), [])
    // Whoever remembers how it was is told that this is old.
    for (const { set } of cluster.shards) {
      const { timestamp, lastmodEpoch } = old
      const shardVersion = { t: timestamp, e: lastmodEpoch, v: new Timestamp({ t: 1, i: 0 }) }
      const asked = (await set.client()).db('bank').command({ find: 'accounts', shardVersion })
      await assert.rejects(asked, { codeName: 'StaleConfig' })
    }
    await cluster.moveRange('bank.accounts', 's2', { max: { _id: 30 }, waitForDelete: true })
    assert.equal((await balancerStatus(leader)).mode, 'off')
    await cluster.moveRange('bank.accounts', 's1', { max: { _id: 30 }, waitForDelete: true })
  })

  async function listed(ns: string) {
    const collections = bench.leader
      .db('config')
      .collection<{ _id: string; timestamp: Timestamp; lastmodEpoch: unknown }>('collections')
    const found = await collections.findOne({ _id: ns })
    assert.ok(found)
    return found
  }

  it('give each moment back, through moves, splits, drops and renames', async () => {
    const { cluster } = bench
    await storedUpTo(bench, await nextSecond())
    for (const [index, { state: then, time }] of moments.entries()) {
      const sharded = Object.keys(then.shown).filter((ns) => ns.startsWith('work.'))
      const side = Object.keys(then.shards.s2?.side ?? {}).filter((name) => !name.startsWith('system.'))
      const one = sharded[random(sharded.length)] ?? 'bank.accounts'
      const other = `side.${side[random(side.length)]}`
      const nss = index % 2 === 0 ? [one, other] : ['work.*']
      const before = await routedState(cluster)
      await restore(bench, base, { nss, oplogTS: time })
      const found = compareChosen(nss, { before, then, after: await routedState(cluster) })
      assert.deepEqual(found, [], `${nss} at ${time.t},${time.i}`)
    }
  })
})
