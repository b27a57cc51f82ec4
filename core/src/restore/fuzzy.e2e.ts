import assert from 'node:assert/strict'
import {
  compareStates,
  type ReplicaSet,
  randomWork,
  seededRandom,
  snapshotState,
  startReplicaSet,
} from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { SmallBackup } from './small-backup.support.js'

const DATABASES = ['fuzzy1', 'fuzzy2']
const SEEDS = [983_348_241, 1_360_333_835, 1_624_261_602, 20_311]

/** Whatever happens while a backup reads, restoring it and replaying its oplog gives the state at its end. */
describe('Replay over a fuzzy snapshot', () => {
  let set: ReplicaSet
  let client: MongoClient

  before(async () => {
    set = await startReplicaSet()
    client = await set.client()
  })
  after(() => set?.stop())

  for (const seed of SEEDS) {
    it(`converges, seed ${seed}`, async () => {
      const random = seededRandom(seed)
      const steps = (count: number) => randomWork(client, DATABASES, random, count)
      await dropAll()
      await steps(60)
      const backup = new SmallBackup(client, DATABASES)
      await backup.begin()
      await steps(random(40))
      await backup.dump(() => steps(3))
      await steps(random(40))
      await backup.end()
      const expected = await snapshotState(client)
      await dropAll()
      await backup.restore()
      assert.deepEqual(compareStates(expected, await snapshotState(client)), [])
    })
  }

  async function dropAll(): Promise<void> {
    for (const db of DATABASES) await client.db(db).dropDatabase()
  }
})
