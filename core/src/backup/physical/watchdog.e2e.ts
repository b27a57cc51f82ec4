import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { findCursorFile, lockWrites, unlockWrites } from '../../mongo/fsync-lock.js'
import { serverOptions } from '../../mongo/server-options.js'
import { RecordedLog } from '../../restore/restore.support.js'
import { whileLocked } from './watchdog.js'

describe('the process that holds a lock', () => {
  let set: ReplicaSet
  let node: MongoClient
  let dbPath: string
  before(async () => {
    set = await startReplicaSet({ members: 1 })
    node = await set.client()
    dbPath = (await serverOptions(node)).dbPath
  })
  after(() => set?.stop())

  const locked = async (work: () => Promise<void>) => {
    const [member] = set.members
    assert.ok(member)
    const { signal } = new AbortController()
    const options = { node, uri: member.uri(), dbPath, maxLockMs: 30_000, log: new RecordedLog(), signal }
    return await whileLocked(options, work)
  }

  it('ends it when the work has ended', async () => {
    const lockedMs = await locked(async () => assert.ok(await findCursorFile(dbPath)))
    assert.ok(lockedMs > 0)
    assert.equal(await findCursorFile(dbPath), undefined)
  })

  it('says that it was lost where somebody else has ended it, whatever is locked since', async () => {
    const lost = { code: 'LOCK_EXPIRED', message: /somebody else has unlocked the mongod/ }
    await assert.rejects(
      locked(async () => void (await unlockWrites(node))),
      lost,
    )
    const another = async () => {
      await unlockWrites(node)
      await lockWrites(node)
    }
    await assert.rejects(locked(another), lost)
    assert.ok(await findCursorFile(dbPath))
    assert.equal(await unlockWrites(node), 0)
  })
})
