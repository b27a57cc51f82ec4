import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterTime, listBackups, listChunks, optime, timelines } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import {
  backupEnded,
  filesystemConfig,
  outputs,
  restoreEnded,
  sendBackup,
  sendRestore,
  unlocked,
  until,
} from './cluster.e2e.support.js'
import { type ShardedBench, startShardedBench } from './sharded.e2e.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.e2e.support.js'

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
    const name = await sendBackup(leader)
    const base = await backupEnded(bench, name)
    assert.equal(base.status, 'done', `${base.error}\n${outputs(bench)}`)
    await until(
      'every replica set to be sliced',
      async () => new Set((await listChunks(leader)).map(({ rs }) => rs)).size === 3,
    )
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
    const ranges = async () => timelines(await listChunks(leader), await listBackups(leader)).ranges
    await until(
      'the stored oplog of all replica sets to reach the end',
      async () => ((await ranges()).at(-1)?.end ?? 0n) >= optime(ended),
    )
    for (let moment = 0; moment < MOMENTS; moment++) {
      const t = began.t + Math.floor(Math.random() * (ended.t - began.t))
      const time = new Timestamp({ t, i: Math.floor(Math.random() * 100) })
      const restored = await restoreEnded(bench, await sendRestore(leader, name, { oplogTS: time }))
      await unlocked(bench)
      assert.equal(restored.status, 'done', `${restored.error}\n${outputs(bench)}`)
      assert.equal(await sumOfAccounts(cluster), TOTAL, `at ${time.t},${time.i}`)
    }
  })
})
