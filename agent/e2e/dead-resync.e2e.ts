import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import {
  type CommandDocument,
  DeadResync,
  ensureControlCollections,
  type LockDocument,
  noteDeadResync,
  recordOperation,
  sendCommand,
} from '@pbmkit/core'
import { MongoClient, ObjectId, Timestamp } from 'mongodb'

/** Seconds of cluster time. */
const NOW = 1_800_000_000

describe('a resync whose agent died', () => {
  let set: ReplicaSet
  let leader: MongoClient
  let asked = 0
  let now = 0
  const lines: string[] = []
  const note = (line: string) => void lines.push(line)
  const log = { debug: note, info: note, warning: note, error: note }
  const clock = { now: () => now, sleep: () => Promise.reject(new Error('nothing sleeps here')) }
  const epoch = new Timestamp({ t: 1, i: 1 })

  before(async () => {
    set = await startReplicaSet()
    leader = await new MongoClient(set.uri(), { monitorCommands: true }).connect()
    leader.on('commandStarted', () => {
      asked++
    })
    await ensureControlCollections(leader)
  })
  after(async () => {
    await leader?.close()
    await set?.stop()
  })

  const lock = (type: LockDocument['type'], given: { opid?: string; silent?: number } = {}): LockDocument => {
    const hb = new Timestamp({ t: NOW - (given.silent ?? 0), i: 1 })
    const opid = given.opid ?? new ObjectId().toHexString()
    return { _id: new ObjectId(), type, replset: set.name, node: 'n:1', opid, epoch, hb }
  }
  const dies = async () => noteDeadResync(leader, (await sendCommand(leader, { cmd: 'resync' })).toHexString())

  /** Repeats begin as `begins` says, and are over at once. */
  function watch(begins: (command: CommandDocument) => Promise<boolean>) {
    const repeated: CommandDocument[] = []
    let ended = Promise.resolve()
    const carryOut = async (command: CommandDocument) => {
      repeated.push(command)
      if (!(await begins(command))) return
      await recordOperation(leader, { ...lock('resync'), opid: command._id.toHexString() })
    }
    const resyncs = new DeadResync({
      ...{ leader, leaderReplset: set.name, clock, logOf: () => log },
      carryOut: (command) => {
        ended = carryOut(command)
        return ended
      },
    })
    /** One look, and all that comes of it. */
    const look = async (...locks: LockDocument[]) => {
      await resyncs.look({ locks, now: new Timestamp({ t: NOW, i: 1 }) })
      await ended
      // What is noted after it.
      while (resyncs.isRepeating) await new Promise((resolve) => setTimeout(resolve, 5))
      return repeated.length
    }
    return { look, repeated, resyncs }
  }

  it('is repeated once, when nothing else is under way', async () => {
    const { look, repeated } = watch(async () => true)
    await dies()
    assert.equal(await look(lock('backup')), 0)
    assert.equal(await look(), 1)
    assert.equal(repeated[0]?.cmd, 'resync')
    now += 600_000
    assert.equal(await look(), 1)
  })

  it('is tried again where its repeat met another operation', async () => {
    let free = false
    const { look } = watch(async () => free)
    await dies()
    assert.equal(await look(), 1)
    assert.equal(await look(lock('backup')), 1)
    free = true
    // Not at once: what kept it from beginning may last.
    assert.equal(await look(), 1)
    now += 10_000
    assert.equal(await look(), 2)
    now += 600_000
    assert.equal(await look(), 2)
  })

  it('costs nothing to look for, unless there was a resync, another leader, or five minutes have passed', async () => {
    const { look, resyncs } = watch(async () => true)
    const cost = async (...locks: LockDocument[]) => {
      const before = asked
      await look(...locks)
      return asked - before
    }
    assert.equal(await cost(), 1)
    assert.deepEqual([await cost(), await cost(lock('backup')), await cost()], [0, 0, 0])
    assert.deepEqual([await cost(lock('resync')), await cost(), await cost()], [0, 1, 0])
    resyncs.forget()
    assert.deepEqual([await cost(), await cost()], [1, 0])
    now += 300_000
    assert.deepEqual([await cost(), await cost()], [1, 0])
  })

  it('is noted by whoever removes its lock, and found by the leader that saw the lock', async () => {
    const { look } = watch(async () => true)
    assert.equal(await look(), 0)
    await dies()
    assert.equal(await look(), 0)
    assert.equal(await look(lock('resync')), 0)
    assert.equal(await look(), 1)
  })

  it('is found where somebody removes its lock who leaves no note, and not where it had ended', async () => {
    const { look } = watch(async () => true)
    const asked = async () => (await sendCommand(leader, { cmd: 'resync' })).toHexString()
    const ended = await asked()
    assert.deepEqual([await look(lock('resync', { opid: ended, silent: 6 })), await look()], [0, 0])
    const died = await asked()
    assert.deepEqual([await look(lock('resync', { opid: died, silent: 29 })), await look()], [0, 1])
    assert.equal(await look(), 1)
    // Its heartbeats have come back meanwhile.
    const slow = await asked()
    assert.equal(await look(lock('resync', { opid: slow, silent: 25 })), 1)
    assert.deepEqual([await look(lock('resync', { opid: slow })), await look()], [1, 1])
  })
})
