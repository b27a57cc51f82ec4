import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { connectLeader } from '../mongo/connect.js'
import { BACKUPS, RESTORES } from '../mongo/control-names.js'
import { findBackup, findNomination } from './backups.js'
import { findRestore } from './restores.js'
import { ensureControlCollections } from './setup.js'

describe('records on a primary that does not know the majority to have them', () => {
  let set: ReplicaSet
  let leader: MongoClient
  const collection = (name: string) => leader.db('admin').collection(name)
  before(async () => {
    set = await startReplicaSet({ members: 1, mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
    leader = (await connectLeader(set.uri(), { appName: 'test' })).client
    // A majority read of one that was just made would wait.
    await ensureControlCollections(leader)
    for (const name of [RESTORES, 'pbmkit.test']) await collection(name).insertOne({})
  })
  after(async () => {
    await leader.close()
    await set.stop()
  })

  /** Majority reads show nothing of what is written meanwhile. */
  async function unsettled(work: () => Promise<void>): Promise<void> {
    const snapshots = (mode: 'alwaysOn' | 'off') =>
      leader.db('admin').command({ configureFailPoint: 'disableSnapshotting', mode })
    await snapshots('alwaysOn')
    try {
      await work()
    } finally {
      await snapshots('off')
      await collection('pbmkit.test').insertOne({}, { writeConcern: { w: 1 } })
    }
  }

  for (const [what, name, find] of [
    ['backup', BACKUPS, (record: string) => findBackup(leader, record)],
    ['nomination', BACKUPS, (record: string) => findNomination(leader, record, 'rs0')],
    ['restore', RESTORES, (record: string) => findRestore(leader, record)],
  ] as const) {
    it(`are waited for, and not gone: a ${what}`, async () => {
      const record = { name: `a ${what}`, opid: '0123', status: 'running' }
      let found: ReturnType<typeof find> | undefined
      await unsettled(async () => {
        await collection(name).insertOne(record, { writeConcern: { w: 1 } })
        assert.equal(await collection(name).findOne({ name: record.name }), null)
        found = find(record.name)
      })
      assert.equal((await found)?.opid, record.opid)
    })
  }

  it('are gone where it does not have them either', async () => {
    assert.equal(await findBackup(leader, 'none'), undefined)
    let found: Promise<unknown> | undefined
    await unsettled(async () => {
      await collection(BACKUPS).insertOne({ name: 'rolled back' }, { writeConcern: { w: 1 } })
      found = findBackup(leader, 'rolled back')
      await collection(BACKUPS).deleteOne({ name: 'rolled back' }, { writeConcern: { w: 1 } })
      assert.equal(await found, undefined)
    })
  })
})
