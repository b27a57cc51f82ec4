import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterTime, sendCommand } from '@pbmkit/core'
import { type Document, Timestamp } from 'mongodb'
import { filesystemConfig, outputs, restoreEnded } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.support.js'

const MOMENTS = 10

describe('point-in-time recovery of a sharded cluster', () => {
  let bench: ShardedBench

  before(async () => {
    bench = await startShardedBench({ shards: [{ name: 's1' }, { name: 'second', id: 's2' }] })
    await bench.configure(filesystemConfig(bench.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n'))
    await loadAccounts(bench.cluster)
  })
  after(async () => {
    await bench?.stop()
  })

  it('brings all shards to one time, at which the sum of all accounts is right', async () => {
    const { cluster, leader } = bench
    const { name, last_write_ts: start } = await backUp(bench)
    await slicedEverywhere(bench)
    const transfers = new Transfers(cluster)
    const running = transfers.run()
    const began = await clusterTime(leader)
    await sleep(3_000)
    await cluster.moveRange('bank.moving', 's2')
    await sleep(3_000)
    transfers.stop()
    await running
    assert.ok(transfers.done > 20, `only ${transfers.done} transfers`)
    const ended = await clusterTime(leader)
    await storedUpTo(bench, ended)
    const midst = await inMidstOfCommit(began)
    for (let moment = 0; moment < MOMENTS; moment++) {
      const t = began.t + Math.floor(Math.random() * (ended.t - began.t))
      const time = new Timestamp({ t, i: Math.floor(Math.random() * 100) })
      await restore(bench, name, { oplogTS: time })
      assert.equal(await sumOfAccounts(cluster), TOTAL, `at ${time.t},${time.i}`)
    }

    await restore(bench, name)
    const replay = `${new Date().toISOString().replace('Z', '')}000000Z`
    await sendCommand(leader, { cmd: 'replay', replay: { name: replay, start, end: midst } })
    const replayed = await restoreEnded(bench, replay)
    assert.deepEqual([replayed.status, replayed.error ?? ''], ['done', ''], outputs(bench))
    assert.equal(await sumOfAccounts(cluster), TOTAL, `replayed to ${midst.t},${midst.i}`)
  })

  /** A time at which one shard has committed a transfer, and the other has only prepared it. */
  async function inMidstOfCommit(since: Timestamp): Promise<Timestamp> {
    const committed = new Map<string, Timestamp[]>()
    for (const { set } of bench.cluster.shards) {
      const oplog = (await set.client()).db('local').collection<Document>('oplog.rs')
      const commits = oplog.find({ ts: { $gte: since }, op: 'c', 'o.commitTransaction': { $exists: true } })
      for await (const { lsid, txnNumber, ts } of commits) {
        const id = `${lsid.id}/${txnNumber}`
        committed.set(id, [...(committed.get(id) ?? []), ts as Timestamp])
      }
    }
    for (const [one, other] of committed.values()) {
      if (one === undefined || other === undefined || one.equals(other)) continue
      return one.lessThan(other) ? one : other
    }
    throw new Error('no shard wrote down its commit later than the other')
  }
})
