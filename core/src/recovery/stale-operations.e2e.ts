import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { type MongoClient, Timestamp } from 'mongodb'
import type { BackupStatus } from '../control/backup-document.js'
import { findBackup, insertBackup, setBackupFields, UNSET_TIMESTAMP } from '../control/backups.js'
import { sendCommand, takeDeadResync } from '../control/commands.js'
import { listLocks } from '../control/locks.js'
import { findRestore, insertRestore } from '../control/restores.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime, secondsOf } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { BACKUPS, LOCKS, RESTORES } from '../mongo/control-names.js'
import { acquireLock, isHeld } from '../protocol/lock.js'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { Leftovers } from './leftovers.js'
import { cleanStaleOperations, watchStaleOperations } from './stale-operations.js'

describe('watch for dead operations', () => {
  let set: ReplicaSet
  let leader: MongoClient
  let live: Timestamp
  let dead: Timestamp
  const lines: string[] = []
  const note = (line: string) => void lines.push(line)
  const log = { debug: note, info: note, warning: note, error: note }

  before(async () => {
    set = await startReplicaSet()
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
    await ensureControlCollections(leader)
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })
  beforeEach(async () => {
    lines.length = 0
    for (const name of [BACKUPS, RESTORES, LOCKS]) await leader.db('admin').collection(name).deleteMany({})
    live = await clusterTime(leader)
    dead = new Timestamp({ t: secondsOf(live) - 40, i: 1 })
  })

  const backup = async (name: string, status: BackupStatus, hb: Timestamp) =>
    insertBackup(leader, {
      type: 'logical',
      opid: `opid of ${name}`,
      name,
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
      status,
      conditions: [],
      n: [],
      pbm_version: '2.15.0',
      balancer: 'off',
    })
  const restore = async (name: string, type: 'logical' | 'physical', hb: Timestamp) =>
    insertRestore(leader, {
      status: 'running',
      name,
      opid: `opid of ${name}`,
      backup: 'b',
      type,
      bcp_chain: null,
      start_pitr: 0,
      pitr: 0,
      start_ts: 1,
      last_transition_ts: 1,
      replsets: [],
      hb,
      conditions: [],
    })
  const lock = async (replset: string, opid: string, hb: Timestamp, type: 'backup' | 'restore' | 'resync' = 'backup') =>
    leader
      .db('admin')
      .collection(LOCKS)
      .insertOne({ type, replset, node: `${replset}:1`, opid, epoch: live, hb })

  it('marks the dead with the reason, unlocks, deletes, and leaves the living alone', async () => {
    await backup('dead', 'running', dead)
    await backup('orphan', 'dumpDone', live)
    await backup('alive', 'running', live)
    await backup('done', 'done', dead)
    await backup('canceled', 'canceled', dead)
    await restore('dead restore', 'logical', dead)
    await restore('physical restore', 'physical', dead)
    await lock('rs0', 'opid of dead', dead)
    await lock('rs1', 'opid of orphan', dead)
    await lock('rs2', 'opid of alive', live)
    const deleted: string[] = []
    const onFailedBackup = async ({ name, status }: { name: string; status: string }) => {
      deleted.push(`${name} ${status}`)
      if (name === 'dead') throw new Error('storage gone')
    }
    await cleanStaleOperations({ leader, log, onFailedBackup })
    const statuses = await Promise.all(
      ['dead', 'orphan', 'alive', 'done', 'canceled'].map(async (name) => (await findBackup(leader, name))?.status),
    )
    assert.deepEqual(statuses, ['error', 'error', 'running', 'done', 'canceled'])
    assert.match(String((await findBackup(leader, 'dead'))?.error), /died in state running.*no heartbeat for 4\d s/)
    assert.match(String((await findBackup(leader, 'orphan'))?.error), /rs1\/rs1:1/)
    assert.equal((await findRestore(leader, 'dead restore'))?.status, 'error')
    assert.equal((await findRestore(leader, 'physical restore'))?.status, 'running')
    assert.deepEqual(
      (await listLocks(leader)).map(({ replset }) => replset),
      ['rs2'],
    )
    assert.deepEqual(deleted.sort(), ['dead error', 'orphan error'])
    assert(lines.some((line) => line.includes('storage gone')))
    assert.deepEqual(await cleanStaleOperations({ leader, log }), [])
  })

  it('records a restore whose agent died before it did', async () => {
    const opid = await sendCommand(leader, {
      cmd: 'restore',
      restore: {
        name: '2031-02-03T04:05:06.000000007Z',
        backupName: 'b',
        fallbackEnabled: null,
        allowPartlyDone: null,
        external: false,
        extConf: null,
        extTS: new Timestamp({ t: 0, i: 0 }),
        exit: false,
      },
    })
    await lock('rs0', opid.toHexString(), dead, 'restore')
    await cleanStaleOperations({ leader, log })
    const restore = await findRestore(leader, '2031-02-03T04:05:06.000000007Z')
    assert.deepEqual([restore?.status, restore?.backup], ['error', 'b'])
    assert.match(restore?.error ?? '', /no heartbeat of rs0\/rs0:1/)
    assert.deepEqual(await listLocks(leader), [])
  })

  it('has a resync repeated once, whether the watch or the next operation removes its lock', async () => {
    const dies = async () => {
      const opid = (await sendCommand(leader, { cmd: 'resync' })).toHexString()
      await lock('rs0', opid, dead, 'resync')
      return opid
    }
    const taken = async () => (await takeDeadResync(leader))?._id.toHexString()
    assert.equal(await taken(), undefined)
    const watched = await dies()
    await cleanStaleOperations({ leader, log })
    assert.deepEqual([await taken(), await taken()], [watched, undefined])
    const displaced = await dies()
    const header = { type: 'backup', replset: 'rs0', node: 'rs0:2', opid: 'next', epoch: live } as const
    const next = await acquireLock({ leader, header })
    assert(isHeld(next))
    assert.deepEqual([await taken(), await taken()], [displaced, undefined])
    await next.release()
    // Begun by an agent itself.
    await lock('rs0', 'ffffffffffffffffffffffff', dead, 'resync')
    await cleanStaleOperations({ leader, log })
    assert.equal(await taken(), undefined)
  })

  it('deletes what an agent stores that goes on after its backup was marked and deleted', async () => {
    await backup('2031-02-03T04:05:06Z', 'running', dead)
    await setBackupFields(leader, '2031-02-03T04:05:06Z', { began_here: true })
    await cleanStaleOperations({ leader, log })
    const store = new FaultyStore()
    const clock = new ManualClock(Date.now())
    const leftovers = new Leftovers({ leader, clock, log, openStore: async () => store })
    const sweep = () => leftovers.sweep(new AbortController().signal)
    await sweep()
    clock.jump(890_000)
    store.put('2031-02-03T04:05:06Z/s1/bank.moving.s2', 'late')
    await sweep()
    assert.deepEqual([...store.objects.keys()], [])
    clock.jump(60_000)
    await sweep()
    const { length } = store.calls
    await sweep()
    assert.equal(store.calls.length, length)
  })

  it('is done by the cluster leader alone, and goes on after a fault', async () => {
    await backup('dead', 'starting', dead)
    const stop = new AbortController()
    let asked = 0
    await watchStaleOperations({
      leader,
      log,
      signal: stop.signal,
      everyMs: 1,
      isClusterLeader: async () => {
        asked++
        if (asked === 3) throw new Error('no primary')
        if (asked < 5) assert.equal((await findBackup(leader, 'dead'))?.status, 'starting')
        return asked >= 5
      },
      onFailedBackup: async () => stop.abort(),
    })
    assert.equal((await findBackup(leader, 'dead'))?.status, 'error')
    assert.equal(lines.filter((line) => line.includes('no primary')).length, 1)
  })
})
