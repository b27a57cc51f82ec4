import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { Ledger } from './ledger.js'
import { RandomWriter } from './writers.js'

/** What goes on in a cluster during a round, and whether a restore gave it back. */
export interface Work {
  /** Enough to be missed has been acknowledged. */
  isUnderWay(): boolean
  /** Nothing that has been acknowledged until now is later than this optime. */
  lastAcknowledged(): bigint
  stop(): Promise<void>
  /** Nothing of it may be left when a restore begins. */
  wipe(): Promise<void>
  /** In what a restore to this optime, inclusive, is not what was there, in words. */
  faults(time: bigint): Promise<string[]>
}

const ENOUGH = 20

/** One ledger, and random changes beside it, in databases of their own. */
export class ReplicaSetWork implements Work {
  readonly #client: MongoClient
  readonly #databases: { readonly ledger: string; readonly chaos: string }
  readonly #ledger: Ledger
  readonly #writer: RandomWriter

  private constructor(client: MongoClient, random: Random, suffix: string) {
    this.#client = client
    this.#databases = { ledger: `ledger${suffix}`, chaos: `chaos${suffix}` }
    this.#ledger = new Ledger(client, this.#databases.ledger, seededRandom(random(2 ** 31)))
    this.#writer = new RandomWriter(client, this.#databases.chaos, seededRandom(random(2 ** 31)))
  }

  static async begin(client: MongoClient, random: Random, suffix = ''): Promise<ReplicaSetWork> {
    for (const name of ['ledger', 'chaos']) await client.db(`${name}${suffix}`).dropDatabase()
    return new ReplicaSetWork(client, random, suffix)
  }

  isUnderWay(): boolean {
    return this.#ledger.acknowledged > ENOUGH
  }

  lastAcknowledged(): bigint {
    return this.#ledger.lastAcknowledged
  }

  async stop(): Promise<void> {
    await Promise.all([this.#ledger.stop(), this.#writer.stop()])
  }

  async wipe(): Promise<void> {
    for (const db of Object.values(this.#databases)) await this.#client.db(db).dropDatabase()
  }

  async faults(time: bigint): Promise<string[]> {
    return (await this.#ledger.faults(time)).map((fault) => `${this.#databases.ledger}: ${fault}`)
  }
}
