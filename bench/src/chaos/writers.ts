import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, randomWork } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { pick } from './shape.js'

/** What the writers write to. */
export const DATABASES = ['ledger', 'chaos'] as const

type Entry = { _id: number }

/** Numbers, each written once: what a backup must and may have of them can be told for any moment. */
export class Ledger {
  /** Of what a majority has acknowledged, in the order of writing. */
  readonly acknowledged: number[] = []
  /** The next number; those below were at least tried. */
  next = 0
  readonly #client: MongoClient
  readonly #stopping = new AbortController()
  readonly #writing: Promise<void>

  constructor(client: MongoClient) {
    this.#client = client
    this.#writing = this.#write()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
  }

  async #write(): Promise<void> {
    const entries = this.#client.db('ledger').collection<Entry>('entries')
    while (!this.#stopping.signal.aborted) {
      const _id = this.next++
      await entries.insertOne({ _id }, { writeConcern: { w: 'majority', wtimeoutMS: 10_000 } }).then(
        () => this.acknowledged.push(_id),
        () => sleep(50),
      )
      await sleep(5)
    }
  }
}

/** Random steps, DDL among them, until it is stopped. */
export class RandomWriter {
  readonly #stopping = new AbortController()
  readonly #writing: Promise<void>

  constructor(client: MongoClient, random: Random) {
    this.#writing = (async () => {
      while (!this.#stopping.signal.aborted) {
        await randomWork(client, ['chaos'], random, 10)
        await moreWork(client, random).catch(() => undefined)
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
async function moreWork(client: MongoClient, random: Random): Promise<unknown> {
  const db = client.db('chaos')
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
