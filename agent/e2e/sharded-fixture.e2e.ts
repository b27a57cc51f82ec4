import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  compareShardedStates,
  fixturesFolder,
  type ShardedState,
  snapshotShardedState,
} from '@pbmkit/conformance/testbed'
import { balancerStatus, findBackup, findRestore, listChunks, sendCommand } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { filesystemConfig, unlocked, until } from './cluster.support.js'
import { restore } from './finished.support.js'
import { type ShardedBench, startShardedBench } from './sharded.support.js'
import { compareChosen, ofDatabase, routedState } from './sharded-selective.support.js'

interface Manifest {
  total: number
  snapshots: { name: string }[]
  marks: { label: string; unix: number }[]
  list: { pitr: { ranges: { range: { start: number; end: number } }[] } }
}

/** In the fixture's oplog: the other shard has copied 58 of 100 documents. */
const MIDDLE_OF_MOVE = { t: 1_795_320_166, i: 60 }

describe('a sharded backup made by PBM', () => {
  const fixtures = fixturesFolder()
  if (fixtures === undefined) return
  const folder = join(fixtures, 'pbm-sharded')
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest
  const backup = manifest.snapshots[0]?.name ?? ''
  const moved = manifest.marks.find(({ label }) => label === 'moved')
  let bench: ShardedBench

  before(async () => {
    bench = await startShardedBench({ fixture: join(folder, 'storage') })
    await bench.configure(filesystemConfig(bench.storage))
    await sendCommand(bench.leader, { cmd: 'resync' })
    await until('the backup to be known', async () => (await findBackup(bench.leader, backup)) !== undefined)
    await until('the chunks to be known', async () => (await listChunks(bench.leader)).length > 0)
    await unlocked(bench)
  })
  after(async () => {
    await bench?.stop()
  })

  const restoreTo = async (oplogTS?: Timestamp) => {
    return (await restore(bench, backup, oplogTS === undefined ? {} : { oplogTS })).name
  }

  const balances = async () => {
    let sum = 0
    for (const { id, set } of bench.cluster.shards) {
      const ledger = (await set.client()).db('bank').collection(`ledger_${id}`)
      for await (const { balance } of ledger.find()) sum += Number(balance)
    }
    return sum
  }

  it('is restored with no transaction on one shard only, and the balancer left off', async () => {
    assert.equal((await balancerStatus(bench.leader)).mode, 'full')
    const name = await restoreTo()
    assert.equal(await balances(), manifest.total)
    assert.equal((await balancerStatus(bench.leader)).mode, 'off')
    const record = await findRestore(bench.leader, name)
    assert.deepEqual(record?.replsets.map((part) => [part.name, part.status, part.txn_set]).sort(), [
      ['cfg', 'done', true],
      ['s1', 'done', true],
      ['s2', 'done', true],
    ])
  })

  // The later one first: going back, a shard has a collection that it must not have.
  for (const { label, unix } of manifest.marks.toReversed()) {
    it(`is restored to the time '${label}' exactly`, async () => {
      await restoreTo(new Timestamp({ t: unix, i: 0 }))
      const expected = JSON.parse(await readFile(join(folder, `expected.${label}.json`), 'utf8')) as ShardedState
      assert.deepEqual(compareShardedStates(expected, await snapshotShardedState(bench.cluster)), [])
      assert.equal(await balances(), manifest.total)
    })
  }

  it('has one collection restored from it, to the end of the backup and to a time, with its chunks', async () => {
    const nss = ['bank.accounts']
    for (const oplogTS of [undefined, new Timestamp({ t: moved?.unix ?? 0, i: 0 })]) {
      const command = oplogTS === undefined ? {} : { oplogTS }
      await restore(bench, backup, command)
      const then = await routedState(bench.cluster)
      await bench.cluster.moveRange('bank.accounts', 's2', { max: { _id: 30 }, waitForDelete: true })
      await ofDatabase(bench.cluster, 'bank', { _shardsvrDropCollection: 'accounts' })
      const before = await routedState(bench.cluster)
      await restore(bench, backup, { ...command, nss })
      assert.deepEqual(compareChosen(nss, { before, then, after: await routedState(bench.cluster) }), [])
    }
  })

  it('keeps the sum at random times', async () => {
    const [range] = manifest.list.pitr.ranges
    const { start, end } = range?.range ?? { start: 0, end: 0 }
    for (let n = 0; n < 3; n++) {
      const time = new Timestamp({
        t: start + Math.floor(Math.random() * (end - start)),
        i: Math.floor(Math.random() * 200),
      })
      await restoreTo(time)
      assert.equal(await balances(), manifest.total, `at ${time.t},${time.i}`)
    }
  })

  it('leaves a cluster whose chunks can be moved', async () => {
    await restoreTo(new Timestamp({ t: moved?.unix ?? 0, i: 0 }))
    const before = await snapshotShardedState(bench.cluster)
    const to = before.chunks[0]?.shard === 's1' ? 's2' : 's1'
    await bench.cluster.moveRange('bank.accounts', to, { waitForDelete: true })
    const after = await snapshotShardedState(bench.cluster)
    assert.equal(after.chunks[0]?.shard, to)
    assert.deepEqual(
      after.shards[to]?.bank?.accounts?.sha256,
      before.shards[to === 's1' ? 's2' : 's1']?.bank?.accounts?.sha256,
    )
  })

  // What it had copied by then belongs to the other shard. Of the plan to delete it nothing is restored; the server makes a new
  // one when the next move to there fails.
  it('restored to a moment in the middle of a move, has the chunk moved at the second attempt', async () => {
    await restoreTo(new Timestamp(MIDDLE_OF_MOVE))
    assert.equal(await balances(), manifest.total)
    const s2 = await bench.cluster.shards.find(({ id }) => id === 's2')?.set.client()
    assert.equal(await s2?.db('bank').collection('accounts').countDocuments(), 58)
    const restored = await snapshotShardedState(bench.cluster)
    assert.equal(restored.chunks[0]?.shard, 's1')
    const move = () => bench.cluster.moveRange('bank.accounts', 's2', { waitForDelete: true })
    await assert.rejects(move(), /operation was interrupted/)
    await move()
    const after = await snapshotShardedState(bench.cluster)
    assert.equal(after.chunks[0]?.shard, 's2')
    assert.deepEqual(after.shards.s2?.bank?.accounts?.sha256, restored.shards.s1?.bank?.accounts?.sha256)
  })
})
