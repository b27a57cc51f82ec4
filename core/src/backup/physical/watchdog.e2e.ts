import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { MongoClient } from 'mongodb'
import { findCursorFile, LOCK_APP, lockWrites, processOf, unlockWrites } from '../../mongo/fsync-lock.js'
import { serverOptions } from '../../mongo/server-options.js'
import { endForgottenLock, WORK_FOLDER, writeLockRecord } from '../../recovery/forgotten-lock.js'
import { RecordedLog } from '../../restore/restore.support.js'
import { until } from '../../time/until.js'
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
  describe('of which nothing is left but what it had written down', () => {
    const ask = async () => await writeLockRecord(dbPath, { process: await processOf(node), since: Date.now() })
    const isPending = () => endForgottenLock({ node, log: new RecordedLog() }, dbPath)
    const isWrittenDown = () => existsSync(join(dbPath, WORK_FOLDER, 'lock.json'))

    it('is waited for no longer than the server works on it', async () => {
      await ask()
      assert.equal(await isPending(), false)
      assert.equal(isWrittenDown(), false)
    })

    it('ends it as soon as it is granted, however late', async () => {
      const [member] = set.members
      assert.ok(member)
      const asking = await MongoClient.connect(member.uri(), { appName: LOCK_APP })
      await node.db('shop').collection('orders').insertOne({ n: 1 })
      const session = node.startSession()
      session.startTransaction()
      await node.db('shop').collection('orders').insertOne({ n: 2 }, { session })
      await ask()
      const asked = lockWrites(asking).catch(() => undefined)
      const isAtServer = { $match: { 'command.fsync': { $exists: true } } }
      const asks = () =>
        node
          .db('admin')
          .aggregate([{ $currentOp: { allUsers: true } }, isAtServer])
          .toArray()
      await until(async () => (await asks()).length > 0, { everyMs: 20, timeoutMs: 20_000 })
      await asking.close(true)
      await asked
      assert.equal(await isPending(), true)
      await session.abortTransaction()
      await session.endSession()
      await until(async () => !(await isPending()), { everyMs: 50, timeoutMs: 20_000 })
      assert.equal(await findCursorFile(dbPath), undefined)
      assert.equal(isWrittenDown(), false)
      await node.db('shop').collection('orders').insertOne({ n: 3 })
    })
  })
})
