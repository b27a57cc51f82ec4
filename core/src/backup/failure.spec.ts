import assert from 'node:assert/strict'
import { MongoClient } from 'mongodb'
import { FaultyStore } from '../store/wrappers/faulty-store.support.js'
import { discardBackup } from './failure.js'

describe('discardBackup', () => {
  it('deletes nothing while nobody can tell whether the backup is listed as done', async () => {
    const backup = '2031-02-03T04:05:06Z'
    const store = new FaultyStore()
    for (const name of [`${backup}.pbm.json`, `${backup}/rs0/metadata.json`]) store.put(name, 'x')
    const leader = new MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 100 })
    try {
      await assert.rejects(discardBackup(leader, store, { name: backup, opid: 'a', replsets: ['rs0'], suffix: '' }), {
        name: 'MongoServerSelectionError',
      })
    } finally {
      await leader.close()
    }
    assert.equal(store.objects.size, 2)
  })
})
