import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fixturesFolder } from '@pbmkit/conformance/testbed'
import { type Collection, type Db, type Document, type MongoClient, Timestamp } from 'mongodb'
import { readConfig, writeConfig } from '../control/config.js'
import { emptyReplset, emptyRestore } from '../control/new-restore.js'
import type { RestoreDocument, RestoreStatus } from '../control/restore-document.js'
import {
  addRestoreReplset,
  findRestore,
  insertRestore,
  setRestoreFields,
  setRestoreStatus,
} from '../control/restores.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { SLICER_LOCKS } from '../mongo/control-names.js'
import { acquireLock, isHeld } from '../protocol/lock.js'
import { type Bench, fixtureFolder, restoreCommand, startBench } from '../restore/restore.support.js'
import { repairSuspended } from './suspension.js'
import { repairTtlMonitor, withoutTtlMonitor } from './ttl-pause.js'

const CONFIG_EPOCH = new Timestamp({ t: 1, i: 1 })

describe('What a restore switches off', () => {
  if (fixturesFolder() === undefined) return
  let bench: Bench
  let backup = ''

  before(async () => {
    bench = await startBench('pbm-codecs')
    const manifest = JSON.parse(await readFile(join(fixtureFolder('pbm-codecs'), 'manifest.json'), 'utf8')) as {
      snapshots: { name: string; compression: string }[]
    }
    backup = manifest.snapshots.find(({ compression }) => compression === 'none')?.name ?? ''
  })
  after(async () => {
    await bench?.stop()
  })
  beforeEach(async () => {
    const storage = { type: 'filesystem', filesystem: { path: bench.folder } }
    await writeConfig(bench.leader, { storage, pitr: { enabled: true }, epoch: CONFIG_EPOCH }, bench.host)
  })

  afterEach(async () => {
    await slicerLocks().deleteMany({})
  })

  const isSlicing = async () => (await readConfig(bench.leader))?.pitr?.enabled
  const slicerLocks = () => bench.leader.db('admin').collection(SLICER_LOCKS)
  /** Holds the restore up between switching off and changing data. */
  const addSlicer = async () => {
    const header = { type: 'pitr', replset: 'rs0', node: 'elsewhere:27017', epoch: CONFIG_EPOCH }
    // Of the future, so that it is alive however long the restore takes to come there.
    const hb = new Timestamp({ t: secondsOf(await clusterTime(bench.leader)) + 300, i: 1 })
    await slicerLocks().insertOne({ ...header, hb })
  }
  const failedRestore = async (options: { leader?: MongoClient; signal?: AbortSignal }) => {
    const { name } = restoreCommand(backup).restore
    await assert.rejects(bench.restore(backup, { ...options, command: { name } }))
    const record = await findRestore(bench.leader, name)
    assert.equal(record?.status, 'error')
    return record
  }

  it('is on again when the restore ends before it has changed anything', async () => {
    await addSlicer()
    const stop = new AbortController()
    const failed = failedRestore({ signal: stop.signal })
    await until(async () => (await isSlicing()) !== true, failed)
    stop.abort(new Error('the test has it end'))
    const record = await failed
    assert.match(record.error ?? '', /the test has it end.*Nothing of the data was changed/)
    assert.deepEqual(record.suspended, [])
    assert.equal(await isSlicing(), true)
  })

  it('is the TTL monitor during a replay, which is on again however it ends', async () => {
    const { node, leader, log } = bench
    const self = { rs: 'rs0', node: bench.set.members[0]?.host ?? '' }
    const pause = { node, leader, self, log }
    const isOn = async () =>
      (await node.db('admin').command({ getParameter: 1, ttlMonitorEnabled: 1 })).ttlMonitorEnabled as boolean
    const running = async () => {
      const { restore } = restoreCommand(backup)
      const now = secondsOf(await clusterTime(leader))
      await insertRestore(leader, emptyRestore(restore, 'b'.repeat(24), now, await clusterTime(leader)))
      await addRestoreReplset(leader, restore.name, { ...emptyReplset('rs0', now), node: self.node })
      return restore.name
    }
    const name = await running()
    assert.equal(await withoutTtlMonitor(pause, name, isOn), false)
    assert.equal(await isOn(), true)
    await assert.rejects(
      withoutTtlMonitor(pause, name, () => Promise.reject(new Error('failed'))),
      /failed/,
    )
    assert.equal(await isOn(), true)
    assert.equal(await repairTtlMonitor(pause), false)
    // An agent that is killed: nothing it began goes on.
    const killed = await running()
    const off = Promise.withResolvers<void>()
    void withoutTtlMonitor(pause, killed, () => {
      off.resolve()
      return new Promise(() => undefined)
    })
    await off.promise
    assert.deepEqual([await repairTtlMonitor(pause), await isOn()], [true, false])
    for (const one of [name, killed]) await setRestoreStatus(leader, one, 'error', { error: 'its agent died' })
    assert.deepEqual([await repairTtlMonitor(pause), await isOn()], [false, true])
    // Who had it off keeps it off.
    await node.db('admin').command({ setParameter: 1, ttlMonitorEnabled: false })
    await withoutTtlMonitor(pause, killed, isOn)
    assert.deepEqual([await repairTtlMonitor(pause), await isOn()], [false, false])
    await node.db('admin').command({ setParameter: 1, ttlMonitorEnabled: true })
  })

  it('is on again where somebody drops the records meanwhile, with the note of what was on', async () => {
    for (const dropped of [['pbmRestores'], ['pbmRestores', 'pbmPITR', 'pbmLock']]) {
      await addSlicer()
      const failed = failedRestore({})
      await until(async () => (await isSlicing()) !== true, failed)
      for (const name of dropped) await bench.leader.db('admin').collection(name).drop()
      const record = await failed
      assert.match(record.error ?? '', /Nothing of the data was changed/)
      assert.deepEqual(record.suspended, [])
      assert.equal(await isSlicing(), true)
      await slicerLocks().deleteMany({})
      await ensureControlCollections(bench.leader)
    }
  })

  it('stays off where the answer was lost that let all replica sets go on: nobody claims that nothing was changed', async () => {
    const lost = losingAnswers(bench.leader, (change) => change.$set?.status === 'cleanupCluster')
    const record = await failedRestore({ leader: lost })
    assert.ok(record.conditions.some(({ status }) => status === 'cleanupCluster'))
    assert.match(record.error ?? '', /The data of the cluster is incomplete now/)
    assert.equal(await isSlicing(), false)
  })

  it('is on again where the answer to an earlier change of state was lost', async () => {
    const lost = losingAnswers(bench.leader, (change) => change.$set?.['replsets.$.status'] === 'cleanupCluster')
    const record = await failedRestore({ leader: lost })
    assert.match(record.error ?? '', /Nothing of the data was changed/)
    assert.equal(await isSlicing(), true)
  })

  it('is not off while the backup is still read through', async () => {
    const stop = new AbortController()
    const seen: unknown[] = []
    const watched = onUpdate(bench.leader, async (change, go) => {
      if (change.$set?.['replsets.$.status'] === 'cleanupCluster') seen.push(await isSlicing())
      return go()
    })
    assert.equal(await bench.restore(backup, { leader: watched, signal: stop.signal }), 'done')
    assert.deepEqual(seen, [true])
    assert.equal(await isSlicing(), false)
  })

  describe('by one whose agents all died', () => {
    const died = async (states: RestoreStatus[], suspended: RestoreDocument['suspended'] = ['pitr']) => {
      const command = restoreCommand(backup)
      const { name } = command.restore
      const opid = command._id.toHexString()
      await insertRestore(bench.leader, emptyRestore(command.restore, opid, 1, await clusterTime(bench.leader)))
      await setRestoreFields(bench.leader, name, { suspended: [...(suspended ?? [])] })
      for (const state of states) await setRestoreStatus(bench.leader, name, state)
      await bench.leader
        .db('admin')
        .collection('pbmPITR')
        .updateOne({}, { $set: { resume: true } }, { upsert: true })
      await bench.leader
        .db('admin')
        .collection('pbmConfig')
        .updateOne({}, { $set: { 'pitr.enabled': false } })
      return name
    }
    const settled = async (name: string) => (await findRestore(bench.leader, name))?.suspended?.length === 0

    it('is on again once the restore is marked as failed and nothing else runs', async () => {
      const name = await died([])
      await repairSuspended(bench.leader, bench.log)
      assert.deepEqual([await isSlicing(), await settled(name)], [false, false])
      await setRestoreStatus(bench.leader, name, 'error', { error: 'it died' })
      const header = { type: 'backup' as const, replset: 'rs0', node: 'elsewhere:27017', opid: 'a'.repeat(24) }
      const other = await acquireLock({ leader: bench.leader, header: { ...header, epoch: CONFIG_EPOCH } })
      assert.ok(isHeld(other))
      await repairSuspended(bench.leader, bench.log)
      assert.deepEqual([await isSlicing(), await settled(name)], [false, false])
      await other.release()
      await repairSuspended(bench.leader, bench.log)
      assert.deepEqual([await isSlicing(), await settled(name)], [true, true])
    })

    it('stays off where data was changed, or somebody has decided since', async () => {
      const changed = await died(['cleanupCluster', 'error'])
      await repairSuspended(bench.leader, bench.log)
      assert.deepEqual([await isSlicing(), await settled(changed)], [false, true])
      const decided = await died(['error'])
      const config = await readConfig(bench.leader)
      assert.ok(config)
      await writeConfig(bench.leader, config, bench.host)
      await repairSuspended(bench.leader, bench.log)
      assert.deepEqual([await isSlicing(), await settled(decided)], [false, true])
    })

    it('is taken over by the next restore, which switches it on again where it changes nothing either', async () => {
      const name = await died(['error'])
      await addSlicer()
      const stop = new AbortController()
      const next = failedRestore({ signal: stop.signal })
      await until(() => settled(name), next)
      stop.abort(new Error('the test has it end'))
      await next
      assert.equal(await isSlicing(), true)
    })
  })
})

/** Unless the restore ends before: then its failure is told instead of a wait without end. */
async function until(condition: () => Promise<boolean>, restore: Promise<RestoreDocument>): Promise<void> {
  const early = restore.then(({ error }) => Promise.reject(new Error(`the restore has ended: ${error}`)))
  early.catch(() => undefined)
  while (!(await condition())) await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), early])
}

type Change = Document & { $set?: Document }

/** A client whose updates are made, and the answers to some never come. */
function losingAnswers(client: MongoClient, isLost: (change: Change) => boolean): MongoClient {
  return onUpdate(client, async (change, go) => {
    const answer = await go()
    if (isLost(change)) throw new Error('connection closed before the answer came')
    return answer
  })
}

function onUpdate(
  client: MongoClient,
  update: (change: Change, go: () => Promise<unknown>) => Promise<unknown>,
): MongoClient {
  const collection = (real: Collection) =>
    replacing(real, 'updateOne', (filter: Document, change: Change, ...rest: object[]) =>
      update(change, () => real.updateOne(filter, change, ...rest)),
    )
  const db = (real: Db) => replacing(real, 'collection', (name: string) => collection(real.collection(name)))
  return replacing(client, 'db', (name: string) => db(client.db(name)))
}

function replacing<T extends object>(target: T, method: keyof T, replacement: unknown): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === method) return replacement
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
