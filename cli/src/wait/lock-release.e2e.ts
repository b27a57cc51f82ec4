import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { acquireLock, clusterTime, ensureControlCollections, isHeld, systemClock } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { locksReleased } from './lock-release.js'

const OPID = '0123456789abcdef01234567'

describe('the locks of an operation that is done', () => {
  let set: ReplicaSet
  let leader: MongoClient
  before(async () => {
    set = await startReplicaSet({ members: 1 })
    leader = await set.client()
    await ensureControlCollections(leader)
  })
  after(async () => {
    await leader?.close()
    await set?.stop()
  })

  const session = { clock: systemClock, signal: new AbortController().signal }

  it('are waited for until they are given back, and no others', async () => {
    const header = {
      type: 'restore',
      replset: 'rs0',
      node: 'a:1',
      opid: OPID,
      epoch: await clusterTime(leader),
    } as const
    const lock = await acquireLock({ leader, header })
    assert.ok(isHeld(lock))
    try {
      await locksReleased(session, leader, 'another')
      let given = false
      const releasing = systemClock.sleep(500).then(() => {
        given = true
        return lock.release()
      })
      await locksReleased(session, leader, OPID)
      assert.ok(given)
      await releasing
    } finally {
      await lock.release()
    }
  })

  it('keep nobody who is interrupted or can not ask', async () => {
    const lost = await set.client()
    await lost.close()
    await locksReleased(session, lost, OPID)
    await locksReleased({ ...session, signal: AbortSignal.abort() }, leader, OPID)
  })
})
