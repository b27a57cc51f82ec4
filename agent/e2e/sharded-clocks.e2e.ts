import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFaketime, otherClock, snapshotShardedState } from '@pbmkit/conformance/testbed'
import { clusterTime, isStale, listAgents, listChunks } from '@pbmkit/core'
import { filesystemConfig, outputs, until } from './cluster.support.js'
import { backUp, restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { assertSameState, slicedEverywhere, storedUpTo } from './sharded-state.support.js'
import { loadAccounts, sumOfAccounts, TOTAL, Transfers } from './sharded-transfers.support.js'

/** Of the mongods and agents of two shards; the config servers' is right. */
const AHEAD = '+3h'
const BEHIND = '-2h'

describe('shards whose clocks differ by hours', function () {
  this.timeout(180_000)
  let bench: ShardedBench

  before(async function () {
    const library = await findFaketime().catch((error: unknown) => {
      console.error(`      skipped: ${error instanceof Error ? error.message : String(error)}`)
      return undefined
    })
    if (library === undefined) return this.skip()
    bench = await startShardedBench({
      shards: [
        { name: 's1', environment: otherClock(library, AHEAD) },
        { name: 'second', id: 's2', environment: otherClock(library, BEHIND) },
      ],
    })
    await bench.configure(filesystemConfig(bench.storage, 'pitr:\n  enabled: true\n  oplogSpanMin: 0.05\n'))
    await loadAccounts(bench.cluster)
  })
  after(async () => {
    await bench?.stop()
  })

  it('their clocks do differ, and no agent is taken for dead', async () => {
    const clocks = await Promise.all(
      bench.cluster.replsets.map(async (set) => {
        const { localTime } = await (await set.client()).db('admin').command({ hello: 1 })
        return ((localTime as Date).getTime() - Date.now()) / 3_600_000
      }),
    )
    assert.deepEqual(
      clocks.map((hours) => hours.toFixed(1).replace('-0.0', '0.0')),
      ['0.0', '3.0', '-2.0'],
    )
    for (let look = 0; look < 8; look++) {
      const [agents, now] = await Promise.all([listAgents(bench.leader), clusterTime(bench.leader)])
      assert.equal(agents.length, 3)
      for (const { n, hb } of agents) assert.ok(!isStale(hb, now), `${n} looks dead at ${look}`)
      await sleep(1_000)
    }
  })

  it('are backed up and restored exactly, and to a time between transfers, and sliced again', async () => {
    const { cluster, leader } = bench
    const before = await snapshotShardedState(cluster)
    const { name: base } = await backUp(bench)
    await slicedEverywhere(bench)
    const transfers = new Transfers(cluster)
    const running = transfers.run()
    await until('some transfers', async () => transfers.done > 5)
    const middle = await clusterTime(leader)
    // Under transfers: none may be in it by half.
    const { name: busy } = await backUp(bench)
    transfers.stop()
    await running
    await storedUpTo(bench, await clusterTime(leader))

    await restore(bench, base, { oplogTS: middle })
    assert.equal(await sumOfAccounts(cluster), TOTAL)
    await restore(bench, busy)
    assert.equal(await sumOfAccounts(cluster), TOTAL)
    await restore(bench, base)
    assertSameState(before, await snapshotShardedState(cluster))

    // What was stored before the restores is of another history, whatever the clocks say of before and after.
    const restored = await clusterTime(leader)
    await backUp(bench)
    await until('slicing to go on', async () => {
      const chunks = (await listChunks(leader)).filter(({ end_ts }) => end_ts.greaterThan(restored))
      return new Set(chunks.map(({ rs }) => rs)).size === 3
    }).catch((error: unknown) => {
      throw new Error(`${error}\n${outputs(bench)}`)
    })
    for (const { start_ts, end_ts, fname } of await listChunks(leader)) {
      assert.ok(!(start_ts.lessThan(restored) && end_ts.greaterThan(restored)), `${fname} goes across a restore`)
    }
  })
})
