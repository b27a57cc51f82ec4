import assert from 'node:assert/strict'
import { compareStates, type ReplicaSet, snapshotState, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { Document, MongoClient } from 'mongodb'
import { Applier } from '../oplog/replay/apply.js'
import { ReplayBatch, sendBatch } from '../oplog/replay/apply-batch.js'
import { raw } from '../oplog/replay/oplog-entries.support.js'
import { deadlineGuard } from '../time/deadline-guard.js'
import { SmallBackup } from './small-backup.support.js'

const LONG_AGO = new Date(Date.now() - 86_400_000)
const CLUSTERED = { clusteredIndex: { key: { _id: 1 }, unique: true } } as const

describe('A restore onto a target whose TTL monitor is at work', () => {
  let set: ReplicaSet
  let client: MongoClient

  before(async () => {
    set = await startReplicaSet({ mongodArgs: ['--setParameter', 'ttlMonitorSleepSecs=1'] })
    client = await set.client()
  })
  after(() => set?.stop())

  const ttlMonitor = (ttlMonitorEnabled: boolean) => client.db('admin').command({ setParameter: 1, ttlMonitorEnabled })
  const ttlPasses = async () => (await client.db('admin').command({ serverStatus: 1 })).metrics.ttl.passes as number
  /** Two whole passes of the monitor. */
  async function letItPass(): Promise<void> {
    const before = await ttlPasses()
    while ((await ttlPasses()) < before + 3) await new Promise((resolve) => setTimeout(resolve, 100))
  }

  it('loses nothing that expires there before the oplog changes it, and expires as before afterwards', async () => {
    const app = client.db('expiring')
    await ttlMonitor(false)
    await app.createCollection('clustered', { ...CLUSTERED, expireAfterSeconds: 60 })
    await app.createCollection('series', { timeseries: { timeField: 'at', metaField: 'm' }, expireAfterSeconds: 60 })
    await app.createCollection('later', { ...CLUSTERED, expireAfterSeconds: 60 })
    await app.createCollection('never', { ...CLUSTERED, expireAfterSeconds: 60 })
    const fill = async (names: readonly string[]) => {
      for (const name of names) await app.collection<{ _id: Date; v: number }>(name).insertOne({ _id: LONG_AGO, v: 1 })
    }
    await fill(['clustered', 'later', 'never'])
    await app.collection('series').insertOne({ at: LONG_AGO, m: 1, v: 1 })
    const backup = new SmallBackup(client, ['expiring'])
    await backup.begin()
    await backup.dump()
    await app.createCollection('logged', { ...CLUSTERED, expireAfterSeconds: 60 })
    await app.createCollection('logged series', { timeseries: { timeField: 'at' }, expireAfterSeconds: 60 })
    await fill(['logged'])
    for (const name of ['clustered', 'later', 'never', 'logged']) {
      await app.collection<{ _id: Date }>(name).updateOne({ _id: LONG_AGO }, { $set: { v: 2 } })
    }
    for (const v of [2, 3]) {
      await app.collection('series').insertOne({ at: LONG_AGO, m: 1, v })
      await app.collection('logged series').insertOne({ at: LONG_AGO, v })
    }
    await app.command({ collMod: 'later', expireAfterSeconds: 1_700_000_000 })
    await app.command({ collMod: 'never', expireAfterSeconds: 'off' })
    await backup.end()
    const expected = await snapshotState(client)
    await app.dropDatabase()
    await ttlMonitor(true)
    await backup.restore(letItPass, async () => {
      await letItPass()
      await ttlMonitor(false)
    })
    const restored = await snapshotState(client)
    assert.deepEqual(compareStates(expected, restored), [])
    await ttlMonitor(true)
    await letItPass()
    const counts = ['clustered', 'series', 'logged', 'logged series', 'later', 'never'].map((name) =>
      app.collection(name).countDocuments(),
    )
    assert.deepEqual(await Promise.all(counts), [0, 0, 0, 0, 1, 1])
  })

  it('passes over an update that meets nothing, and still names what can not be applied', async () => {
    const guard = deadlineGuard(new AbortController().signal)
    const fragments = client.db('gone').collection<{ _id: number }>('fragments')
    await fragments.insertMany([{ _id: 1 }, { _id: 2 }])
    const applier = new Applier(client, { guard })
    const change = (op: string, collection: string, _id: number, o: Document) =>
      applier.change({ op, ns: `gone.${collection}`, ui: undefined, o: raw(o), o2: raw({ _id }) }, true)
    const modify = { $v: 2, diff: { u: { v: 1 } } }
    for (const _id of [1, 9, 2]) await change('u', 'fragments', _id, modify)
    await change('u', 'fragments', 8, { _id: 8, v: 1 })
    await applier.flush()
    assert.deepEqual(await fragments.find().toArray(), [
      { _id: 1, v: 1 },
      { _id: 2, v: 1 },
    ])
    const batch = new ReplayBatch()
    for (const [ns, _id] of [
      ['gone.fragments', 9],
      ['gone.nowhere', 1],
    ] as const) {
      batch.addCommand({ op: 'u', ns, ui: undefined, o: raw(modify), o2: raw({ _id }) })
    }
    await assert.rejects(sendBatch(client, batch, guard), { code: 'REPLAY_FAILED', message: /u on gone\.nowhere/ })
  })
})
