import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { Long, type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { findBackup, insertBackup, UNSET_TIMESTAMP } from '../control/backups.js'
import { type LockHeader, listLocks } from '../control/locks.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { LOCKS, OPERATIONS } from '../mongo/control-names.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { acquireLock, type HeldLock, isHeld } from './lock.js'

describe('lock', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const locks = () => leader.db('admin').collection(LOCKS)
  const epoch = new Timestamp({ t: 1_700_000_000, i: 1 })
  const header = (fields: Partial<LockHeader> = {}): LockHeader => ({
    type: 'backup',
    replset: set.name,
    node: 'a:1',
    opid: new ObjectId().toHexString(),
    epoch,
    ...fields,
  })
  const held: HeldLock[] = []
  async function hold(options: Omit<Parameters<typeof acquireLock>[0], 'leader'>): Promise<HeldLock> {
    const outcome = await acquireLock({ leader, ...options })
    assert(isHeld(outcome), `refused: ${'refused' in outcome ? outcome.refused : ''}`)
    held.push(outcome)
    return outcome
  }
  /** As a holder that died leaves it. */
  async function deadLock(fields: Partial<LockHeader> = {}) {
    const t = secondsOf(await clusterTime(leader)) - 31
    const lock = { ...header(fields), hb: new Timestamp({ t, i: 1 }) }
    await locks().insertOne({ ...lock })
    return lock
  }
  const lost = (signal: AbortSignal) =>
    new Promise<{ code: string }>((resolve) => {
      if (signal.aborted) resolve(signal.reason)
      signal.addEventListener('abort', () => resolve(signal.reason))
    })

  before(async () => {
    set = await startReplicaSet({ members: 3 })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  beforeEach(() => ensureControlCollections(leader))
  afterEach(async () => {
    await Promise.all(held.splice(0).map((lock) => lock.release()))
    await locks().deleteMany({})
  })

  it('stores header and heartbeat as PBM does, and the operation', async () => {
    const mine = header()
    await hold({ header: mine })
    const stored = await locks().findOne({}, { promoteLongs: false })
    assert(stored !== null)
    assert.deepEqual(Object.keys(stored), ['_id', 'type', 'replset', 'node', 'opid', 'epoch', 'hb'])
    assert(stored.hb instanceof Timestamp && stored.epoch instanceof Timestamp)
    const operation = await leader.db('admin').collection(OPERATIONS).findOne({ opid: mine.opid })
    assert.deepEqual(Object.keys(operation ?? {}), ['_id', 'type', 'replset', 'node', 'opid', 'epoch'])
  })

  it('lets exactly one of many contenders have it', async () => {
    const opid = new ObjectId().toHexString()
    for (const opids of [() => opid, () => new ObjectId().toHexString()]) {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          acquireLock({ leader, header: header({ node: `n:${i}`, opid: opids() }) }),
        ),
      )
      const [winner, ...others] = outcomes.filter(isHeld)
      assert(winner !== undefined)
      assert.deepEqual(others, [])
      await winner.release()
    }
  })

  it('lets exactly one have it, once, after the collections were dropped', async () => {
    await locks().drop()
    await leader.db('admin').collection(OPERATIONS).drop()
    const opid = new ObjectId().toHexString()
    const race = () =>
      Promise.all(
        Array.from({ length: 10 }, (_, i) => acquireLock({ leader, header: header({ node: `n:${i}`, opid }) })),
      )
    const winners = (await race()).filter(isHeld)
    assert.equal(winners.length, 1)
    await winners[0]?.release()
    assert.equal((await race()).filter(isHeld).length, 0)
  })

  it('lets exactly one of many have a dead holder’s, once its backup is marked', async () => {
    const dead = await deadLock()
    await insertBackup(leader, backupOf(String(dead.opid), dead.hb))
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => acquireLock({ leader, header: header({ node: `n:${i}` }) })),
    )
    const winners = outcomes.filter(isHeld)
    held.push(...winners)
    assert.equal(winners.length, 1)
    const backup = await findBackup(leader, `name of ${dead.opid}`)
    assert.equal(backup?.status, 'error')
    assert.match(String(backup?.error), /a:1 died/)
  })

  it('tells who has it', async () => {
    const mine = header()
    await hold({ header: mine })
    const concurrent = await acquireLock({ leader, header: header({ type: 'restore' }) })
    assert('refused' in concurrent)
    assert.equal(concurrent.refused, 'concurrent')
    assert.equal(concurrent.by?.opid, mine.opid)
    const taken = await acquireLock({ leader, header: { ...mine, node: 'b:1' } })
    assert('refused' in taken)
    assert.equal(taken.refused, 'taken')
  })

  it('runs an operation once per replica set', async () => {
    const mine = header()
    await (await hold({ header: mine })).release()
    const again = await acquireLock({ leader, header: { ...mine, node: 'b:1' } })
    assert.deepEqual(again, { refused: 'done' })
    assert.deepEqual(await listLocks(leader), [])
    await hold({ header: { ...mine, replset: 'another' } })
  })

  it('keeps slicers apart from operations, without an operation id', async () => {
    const { opid, ...slicer } = header({ type: 'pitr' })
    await hold({ header: slicer })
    const second = await acquireLock({ leader, header: { ...slicer, node: 'b:1' } })
    assert('refused' in second)
    assert.equal(second.refused, 'taken')
    await hold({ header: header() })
  })

  it('beats', async () => {
    const clock = new ManualClock()
    await hold({ header: header(), clock })
    const [before] = await listLocks(leader)
    await locks().updateOne({}, { $set: { hb: new Timestamp({ t: 5, i: 5 }) } })
    await clock.advance(5_000)
    while ((await listLocks(leader))[0]?.hb.getHighBits() === 5) await sleep(10)
    const [after] = await listLocks(leader)
    assert(before !== undefined && after?.hb.greaterThanOrEqual(before.hb))
  })

  for (const [how, remove, found] of [
    ['its record is deleted', () => locks().deleteMany({}), /somebody has removed its record/],
    ['the collection is dropped', () => locks().drop(), /somebody has removed its record/],
    [
      'somebody else has taken it',
      () => locks().updateOne({}, { $set: { node: 'b:1' } }),
      /in its place is that of .*b:1 for backup \(operation [0-9a-f]{24}\)/,
    ],
  ] as const) {
    it(`tells the holder when ${how}`, async () => {
      const clock = new ManualClock()
      const reasons: string[] = []
      const log = recordedLog()
      const lock = await hold({ header: header(), clock, log, onLost: ({ code }) => reasons.push(code) })
      await remove()
      lock.assertHeld()
      await clock.advance(5_000)
      assert.equal((await lost(lock.signal)).code, 'LOCK_LOST')
      assert.throws(() => lock.assertHeld(), { code: 'LOCK_LOST', message: found })
      assert.deepEqual(reasons, ['LOCK_LOST'])
      assert.equal(log.lines.length, 1)
      assert.match(log.lines.join(), found)
      await lock.release()
      assert.equal(log.lines.length, 1)
    })

    it(`says when it is given back that ${how}, if no heartbeat was due since`, async () => {
      const log = recordedLog()
      const lock = await hold({ header: header(), log })
      await remove()
      await lock.release()
      assert.equal(log.lines.length, 1)
      assert.match(log.lines.join(), /was lost before it was given back/)
      assert.match(log.lines.join(), found)
    })
  }

  it('is given up by a holder that was suspended, before anybody may take it', async () => {
    const clock = new ManualClock()
    const lock = await hold({ header: header(), clock })
    clock.jump(24_999)
    lock.assertHeld()
    clock.jump(1)
    assert.throws(() => lock.assertHeld(), { code: 'HEARTBEAT_LOST' })
    assert.equal(lock.signal.aborted, true)
    assert.equal((await listLocks(leader)).length, 1)
  })

  it('never touches the lock of a successor', async () => {
    const clock = new ManualClock()
    const first = await hold({ header: header(), clock })
    await locks().updateOne({}, { $set: { hb: new Timestamp({ t: 5, i: 5 }) } })
    const second = await hold({ header: header() })
    await clock.advance(5_000)
    assert.equal((await lost(first.signal)).code, 'LOCK_LOST')
    await first.release()
    const [left] = await listLocks(leader)
    assert.equal(left?.opid, second.header.opid)
  })

  it('keeps it through an election, and gives it up when cut off', async () => {
    const clock = new ManualClock()
    const own = (await connectLeader(set.uri(), { appName: 'test' })).client
    const lock = await acquireLock({ leader: own, header: header(), clock })
    assert(isHeld(lock))
    await set.stepDown(20)
    await locks().updateOne({}, { $set: { hb: new Timestamp({ t: 5, i: 5 }) } })
    await clock.advance(5_000)
    while ((await listLocks(leader))[0]?.hb.getHighBits() === 5) await sleep(10)
    assert.equal(lock.signal.aborted, false)
    await own.close(true)
    await clock.advance(24_000)
    assert.equal(lock.signal.aborted, false)
    await clock.advance(1_000)
    assert.equal((await lost(lock.signal)).code, 'HEARTBEAT_LOST')
    await lock.release()
  })

  it('is released once, however often asked, and without beating on', async () => {
    const clock = new ManualClock()
    const lock = await hold({ header: header(), clock })
    await Promise.all([lock.release(), lock.release()])
    await lock.release()
    assert.deepEqual(await listLocks(leader), [])
    await clock.advance(60_000)
    assert.equal(lock.signal.aborted, false)
  })

  it('reads the lock of a PBM that counts in other number types', async () => {
    await locks().insertOne({
      type: 'backup',
      replset: set.name,
      node: 'x:1',
      opid: 'o',
      epoch,
      hb: await clusterTime(leader),
      extra: Long.fromNumber(1),
    })
    const refused = await acquireLock({ leader, header: header() })
    assert('refused' in refused)
    assert.equal(refused.by?.node, 'x:1')
  })
})

function recordedLog() {
  const lines: string[] = []
  const note = (line: string) => void lines.push(line)
  return { lines, debug: note, info: note, warning: note, error: note }
}

function backupOf(opid: string, hb: Timestamp): BackupDocument {
  return {
    type: 'logical',
    opid,
    name: `name of ${opid}`,
    replsets: [],
    compression: 'none',
    store: { type: 'filesystem' },
    size: 0,
    size_uncompressed: 0,
    mongodb_version: '6.0.5',
    fcv: '6.0',
    start_ts: 1,
    last_transition_ts: 1,
    first_write_ts: UNSET_TIMESTAMP,
    last_write_ts: UNSET_TIMESTAMP,
    hb,
    status: 'running',
    conditions: [],
    n: [],
    pbm_version: '2.15.0',
    balancer: 'off',
  }
}
