import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, randomWork } from '@pbmkit/conformance/testbed'
import type { Db, MongoClient } from 'mongodb'
import { pick } from './shape.js'

/** Random steps, DDL among them, until it is stopped. */
export class RandomWriter {
  readonly #stopping = new AbortController()
  readonly #writing: Promise<void>

  constructor(client: MongoClient, db: string, random: Random) {
    this.#writing = (async () => {
      while (!this.#stopping.signal.aborted) {
        await randomWork(client, [db], random, 10)
        await moreWork(client.db(db), random).catch(() => undefined)
        await sleep(20)
      }
    })()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
  }
}

/** Users, roles, and indexes with quorums of their own. */
async function moreWork(db: Db, random: Random): Promise<unknown> {
  switch (random(4)) {
    case 0:
      return db.command({ createRole: `role${random(3)}`, privileges: [], roles: ['read'] })
    case 1:
      return db.command({ createUser: `user${random(3)}`, pwd: 'secret', roles: ['read'] })
    case 2:
      return db.command({ dropUser: `user${random(3)}` })
    default:
      return db.command({
        createIndexes: pick(random, ['a', 'b', 'c']),
        indexes: [{ key: { q: 1 }, name: `q${random(3)}` }],
        commitQuorum: pick(random, [1, 'majority', 'votingMembers']),
        maxTimeMS: 5_000,
      })
  }
}
