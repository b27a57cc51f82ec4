import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import {
  acknowledgeNomination,
  addReplset,
  deleteBackupDocument,
  findNomination,
  insertBackup,
  setBackupFields,
  setBackupStatus,
  setReplsetStatus,
  UNSET_TIMESTAMP,
} from '../control/backups.js'
import { ensureControlCollections } from '../control/setup.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { connectLeader } from '../mongo/connect.js'
import { LOCKS } from '../mongo/control-names.js'
import { systemClock } from '../time/clock.js'
import { awaitReplsets, awaitState } from './convergence.js'
import { acquireLock, isHeld } from './lock.js'
import { awaitNomination, backupBallot, nominate } from './nomination.js'
import { BACKUP_KIND } from './operation-kind.js'

const quiet = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined }

describe('election and convergence', () => {
  let set: ReplicaSet
  let leader: MongoClient
  let backup: string
  let opid: string
  const rs = 'rs0'
  const { signal } = new AbortController()

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
    opid = new ObjectId().toHexString()
    backup = `backup ${opid}`
    await leader.db('admin').collection(LOCKS).deleteMany({})
    await insertBackup(leader, {
      type: 'logical',
      opid,
      name: backup,
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
      hb: await clusterTime(leader),
      status: 'starting',
      conditions: [],
      n: [],
      pbm_version: '2.15.0',
      balancer: 'off',
    })
  })
  const part = async (name: string, status: 'running' | 'dumpDone' = 'running') =>
    addReplset(leader, backup, {
      name,
      node: 'a:1',
      status,
      start_ts: 1,
      last_transition_ts: 1,
      size: 0,
      size_uncompressed: 0,
      first_write_ts: UNSET_TIMESTAMP,
      last_write_ts: UNSET_TIMESTAMP,
      conditions: [],
    })

  /** An agent as it takes part: nomination, lock, acknowledgment. */
  async function agent(node: string) {
    const outcome = await awaitNomination({ leader, backup, opid, rs, node, signal })
    if (outcome !== 'nominated') return { node, outcome }
    const epoch = new Timestamp({ t: 1, i: 1 })
    const lock = await acquireLock({ leader, header: { type: 'backup', replset: rs, node, opid, epoch } })
    if (!isHeld(lock)) return { node, outcome: 'locked out' }
    await acknowledgeNomination(leader, backup, rs, node)
    return { node, outcome: 'won', lock }
  }

  it('elects one node of the highest group', async () => {
    const agents = ['hidden:1', 'secondary:1', 'secondary:2', 'primary:1'].map(agent)
    const groups = [['hidden:1'], ['secondary:1', 'secondary:2'], ['primary:1']]
    assert.equal(await nominate(backupBallot(leader, backup, rs), { groups, signal, log: quiet }), 'hidden:1')
    const outcomes = await Promise.all(agents)
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['won', 'lost', 'lost', 'lost'],
    )
    await Promise.all(outcomes.map((one) => ('lock' in one ? one.lock?.release() : undefined)))
  })

  it('asks the others of a group, then the next group, when nobody answers', async () => {
    const [answer] = [agent('primary:1')]
    const asked: string[][] = []
    const watching = new AbortController()
    const watch = (async () => {
      while (!watching.signal.aborted) {
        const names = (await findNomination(leader, backup, rs))?.nomination?.n ?? []
        if (names.join() !== asked.at(-1)?.join()) asked.push(names)
        await sleep(20)
      }
    })()
    const groups = [['dead:1', 'dead:2'], ['primary:1']]
    assert.equal(await nominate(backupBallot(leader, backup, rs), { groups, signal, log: quiet }), 'primary:1')
    watching.abort()
    await watch
    assert.deepEqual(
      asked.filter((names) => names.length > 0),
      [['dead:1'], ['dead:1', 'dead:2'], ['primary:1']],
    )
    const won = await answer
    assert.equal(won?.outcome, 'won')
    if (won !== undefined && 'lock' in won) await won.lock?.release()
  })

  it('is over as soon as all that are asked have declined', async () => {
    // By this clock no round ever ends.
    const clock = { now: () => 0, sleep: systemClock.sleep }
    const declined = async () => new Set(['a:1', 'b:1'])
    const groups = [['a:1'], ['b:1']]
    assert.equal(
      await nominate({ ...backupBallot(leader, backup, rs), declined }, { groups, signal, log: quiet, clock }),
      undefined,
    )
  })

  it('is not for the command of the same second that came second', async () => {
    const nominating = nominate(backupBallot(leader, backup, rs), { groups: [['a:1']], signal, log: quiet })
    const second = new ObjectId().toHexString()
    assert.equal(await awaitNomination({ leader, backup, opid: second, rs, node: 'a:1', signal }), 'other')
    const won = await agent('a:1')
    assert.equal(won.outcome, 'won')
    assert.equal(await nominating, 'a:1')
    await won.lock?.release()
  })

  it('ends at once when the backup is canceled or its record vanishes', async () => {
    const canceled = nominate(backupBallot(leader, backup, rs), { groups: [['dead:1']], signal, log: quiet })
    const waiting = awaitNomination({ leader, backup, opid, rs, node: 'a:1', signal })
    await setBackupStatus(leader, backup, 'canceled')
    await assert.rejects(canceled, { code: 'OPERATION_ENDED' })
    assert.equal(await waiting, 'ended')
    await deleteBackupDocument(leader, backup)
    await assert.rejects(nominate(backupBallot(leader, backup, rs), { groups: [['dead:1']], signal, log: quiet }), {
      code: 'OPERATION_GONE',
    })
    const stop = new AbortController()
    const aborted = awaitNomination({ leader, backup, opid, rs, node: 'a:1', signal: stop.signal })
    stop.abort(new Error('shutdown'))
    await assert.rejects(aborted, /shutdown/)
  })

  it('converges when the last replica set has got there', async () => {
    const all = awaitReplsets(BACKUP_KIND, { leader, name: backup, signal, state: 'running', replsets: ['rs0', 'rs1'] })
    await part('rs0')
    // Already further: counts as there.
    await part('rs1', 'dumpDone')
    await all
    const follower = awaitState(BACKUP_KIND, { leader, name: backup, signal, state: 'running' })
    await setBackupStatus(leader, backup, 'running')
    await follower
  })

  it('fails with the words of the replica set that failed', async () => {
    await part('rs0')
    const all = awaitReplsets(BACKUP_KIND, {
      leader,
      name: backup,
      signal,
      state: 'dumpDone',
      replsets: ['rs0', 'rs1'],
    })
    await setReplsetStatus(leader, backup, 'rs0', 'error', { error: 'disk full' })
    await assert.rejects(all, { code: 'REPLSET_FAILED', message: /rs0 is error: disk full/ })
  })

  it('is canceled where a replica set is, though the command was not heard here', async () => {
    await part('rs0')
    const wait = { leader, name: backup, signal }
    const all = awaitReplsets(BACKUP_KIND, { ...wait, state: 'dumpDone', replsets: ['rs0', 'rs1'] })
    await setReplsetStatus(leader, backup, 'rs0', 'canceled', { error: 'the backup was canceled' })
    await assert.rejects(all, { code: 'BACKUP_CANCELED' })
    const whole = awaitState(BACKUP_KIND, { ...wait, state: 'dumpDone' })
    await setBackupStatus(leader, backup, 'canceled')
    await assert.rejects(whole, { code: 'BACKUP_CANCELED' })
  })

  it('fails when a replica set’s agent is dead, its leader is dead, or time is up', async () => {
    await part('rs0')
    const dead = new Timestamp({ t: (await clusterTime(leader)).getHighBits() - 31, i: 1 })
    const wait = { leader, name: backup, signal }
    await assert.rejects(
      awaitReplsets(BACKUP_KIND, { ...wait, state: 'dumpDone', replsets: ['rs0'], timeoutMs: 300 }),
      {
        code: 'CONVERGENCE_TIMEOUT',
      },
    )
    const epoch = new Timestamp({ t: 1, i: 1 })
    await leader
      .db('admin')
      .collection(LOCKS)
      .insertOne({ type: 'backup', replset: 'rs0', node: 'a:1', opid, epoch, hb: dead })
    await assert.rejects(awaitReplsets(BACKUP_KIND, { ...wait, state: 'dumpDone', replsets: ['rs0'] }), {
      code: 'REPLSET_LOST',
    })
    await setBackupFields(leader, backup, { hb: dead })
    await assert.rejects(awaitState(BACKUP_KIND, { ...wait, state: 'running' }), { code: 'LEADER_LOST' })
    await setBackupStatus(leader, backup, 'error')
    await assert.rejects(awaitState(BACKUP_KIND, { ...wait, state: 'running' }), { code: 'OPERATION_ENDED' })
    const gone = awaitState(BACKUP_KIND, { ...wait, name: 'not yet', state: 'running', timeoutMs: 300 })
    await assert.rejects(gone, { code: 'CONVERGENCE_TIMEOUT' })
  })
})
