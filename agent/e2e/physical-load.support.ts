import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomWork, seededRandom } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'

/** The second is no name of a folder as it is. */
const DATABASES = ['one', 'zwei-é']
const COUNTERS = 4
const DOCUMENTS = 5_000

interface Counter {
  _id: number
  n: number
}

/** Writes of all kinds, without a pause, of which it can be seen whether they are all there: see {@link assertCounted}. */
export class Load {
  readonly #client: MongoClient
  readonly #seed: number
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []
  done = 0

  constructor(client: MongoClient, seed: number) {
    this.#client = client
    this.#seed = seed
  }

  async start(): Promise<void> {
    const db = this.#client.db('counted')
    // A transaction makes no collection on servers before 4.4, and none beside another that does.
    for (const name of ['counters', 'log']) await db.createCollection(name).catch(() => undefined)
    if ((await db.collection('indexed').estimatedDocumentCount()) === 0) {
      const documents = Array.from({ length: DOCUMENTS }, (_, _id) => ({ _id, a: _id % 97, b: `b${_id}` }))
      await db.collection<{ _id: number }>('indexed').insertMany(documents)
    }
    for (let worker = 0; worker < COUNTERS; worker++) this.#repeat((n) => this.#count(worker, n))
    const random = seededRandom(this.#seed)
    this.#repeat(() => randomWork(this.#client, DATABASES, random, 5))
    this.#repeat((n) => this.#index(n))
    this.#repeat((n) => this.#user(n))
  }

  /** Rejects with what no such load may meet. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  #repeat(work: (n: number) => Promise<unknown>): void {
    const { signal } = this.#stop
    const run = async () => {
      for (let n = 0; !signal.aborted; n++) {
        // A server that is locked, elects or ends refuses much.
        await work(n).then(
          () => this.done++,
          () => sleep(20),
        )
      }
    }
    this.#running.push(run())
  }

  /** Half of them by a transaction: then both are there or none. */
  async #count(worker: number, n: number): Promise<void> {
    const db = this.#client.db('counted')
    const both = async (options: object) => {
      const found = await db
        .collection<Counter>('counters')
        .findOneAndUpdate({ _id: worker }, { $inc: { n: 1 } }, { upsert: true, returnDocument: 'after', ...options })
      await db.collection('log').insertOne({ worker, n: found?.n, at: n }, options)
    }
    if (worker % 2 === 0) return await both({})
    await this.#client.withSession((session) => session.withTransaction(() => both({ session })))
  }

  async #index(n: number): Promise<void> {
    const indexed = this.#client.db('counted').collection('indexed')
    await indexed.createIndex({ a: 1, b: n % 2 === 0 ? 1 : -1 }, { name: 'changing' })
    await indexed.updateMany({ a: n % 97 }, { $inc: { a: 97 } })
    await indexed.dropIndex('changing')
  }

  async #user(n: number): Promise<void> {
    const db = this.#client.db('counted')
    await db.command({ createUser: `user${n % 3}`, pwd: `password ${n}`, roles: ['read'] })
    await sleep(50)
    await db.command({ dropUser: `user${(n + 1) % 3}` })
  }
}

/**
 * What {@link Load} has counted is what it has written down. Without a transaction a backup, or a server that ends, may come between
 * the two.
 *
 * @param cuts how often one may have
 */
export async function assertCounted(client: MongoClient, cuts: number): Promise<void> {
  const db = client.db('counted')
  for (const { _id, n } of await db.collection<Counter>('counters').find().toArray()) {
    const logged = await db.collection('log').distinct('n', { worker: _id })
    const missing = n - logged.length
    const most = _id % 2 === 0 ? cuts : 0
    assert.ok(missing >= 0 && missing <= most, `counter ${_id} says ${n}, ${logged.length} are there`)
    assert.ok(Math.max(0, ...logged.map(Number)) <= n, `counter ${_id} says ${n}, and more are there`)
  }
}
