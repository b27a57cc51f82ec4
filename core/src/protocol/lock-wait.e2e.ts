import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId, Timestamp } from 'mongodb'
import type { LockHeader } from '../control/locks.js'
import { ensureControlCollections } from '../control/setup.js'
import { connectLeader } from '../mongo/connect.js'
import { acquireLock, type HeldLock, isHeld } from './lock.js'
import { acquireLockAfterResync, operationInTheWay } from './lock-wait.js'

describe('operations behind a resync', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const { signal } = new AbortController()
  before(async () => {
    set = await startReplicaSet({ members: 1 })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
    await ensureControlCollections(leader)
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })

  const header = (type: LockHeader['type']): LockHeader => ({
    ...{ type, replset: set.name, node: 'a:1', opid: new ObjectId().toHexString() },
    epoch: new Timestamp({ t: 1_700_000_000, i: 1 }),
  })
  async function hold(type: LockHeader['type']): Promise<HeldLock> {
    const lock = await acquireLock({ leader, header: header(type) })
    assert.ok(isHeld(lock))
    return lock
  }

  it('wait for its end', async () => {
    const resync = await hold('resync')
    const free = operationInTheWay(leader, { signal })
    const waiting = acquireLockAfterResync({ leader, header: header('backup'), signal })
    const early = Promise.race([free, waiting, new Promise((resolve) => setTimeout(resolve, 500, 'waiting'))])
    assert.equal(await early, 'waiting')
    await resync.release()
    const lock = await waiting
    assert.ok(isHeld(lock))
    await lock.release()
    // Which of the two saw the end first is chance.
    assert.notEqual((await free)?.type, 'resync')
  })

  it('wait no longer than they may', async () => {
    const resync = await hold('resync')
    const found = await operationInTheWay(leader, { signal, patienceMs: 300 })
    assert.equal(found?.opid, resync.header.opid)
    const refused = await acquireLockAfterResync({ leader, header: header('restore'), signal, patienceMs: 300 })
    assert.ok(!isHeld(refused) && refused.refused === 'concurrent' && refused.by?.type === 'resync')
    await resync.release()
  })

  it('end their wait when they are told to', async () => {
    const resync = await hold('resync')
    const stop = new AbortController()
    const waits = [
      operationInTheWay(leader, { signal: stop.signal }),
      acquireLockAfterResync({ leader, header: header('backup'), signal: stop.signal }),
    ]
    stop.abort(new Error('told to'))
    for (const { status } of await Promise.allSettled(waits)) assert.equal(status, 'rejected')
    await resync.release()
  })

  it('do not wait for any other operation', async () => {
    const other = await hold('restore')
    const refused = await acquireLockAfterResync({ leader, header: header('backup'), signal, patienceMs: 60_000 })
    assert.ok(!isHeld(refused) && refused.by?.type === 'restore')
    assert.equal((await operationInTheWay(leader, { signal, patienceMs: 60_000 }))?.type, 'restore')
    const own = { signal, patienceMs: 60_000, opid: String(other.header.opid) }
    assert.equal(await operationInTheWay(leader, own), undefined)
    await other.release()
  })
})
