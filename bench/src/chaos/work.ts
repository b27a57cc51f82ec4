import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { Ledger, RandomWriter } from './writers.js'

/** What goes on in a cluster during a round, and whether a restore gave it back. */
export interface Work {
  /** Enough to be missed has been acknowledged. */
  isUnderWay(): boolean
  /** Whatever has been acknowledged until now must be in a backup that begins now. */
  mark(): void
  stop(): Promise<void>
  /** Nothing of it may be left when a restore begins. */
  wipe(): Promise<void>
  /** What a restore of a backup begun at the mark did not give back, in words. */
  faults(): Promise<string[]>
}

const ENOUGH = 20

/** One ledger, and random changes beside it, in databases of their own. */
export class ReplicaSetWork implements Work {
  readonly #client: MongoClient
  readonly #databases: { readonly ledger: string; readonly chaos: string }
  readonly #ledger: Ledger
  readonly #writer: RandomWriter
  #required = 0

  private constructor(client: MongoClient, random: Random, suffix: string) {
    this.#client = client
    this.#databases = { ledger: `ledger${suffix}`, chaos: `chaos${suffix}` }
    this.#ledger = new Ledger(client, this.#databases.ledger)
    this.#writer = new RandomWriter(client, this.#databases.chaos, seededRandom(random(2 ** 31)))
  }

  static async begin(client: MongoClient, random: Random, suffix = ''): Promise<ReplicaSetWork> {
    for (const name of ['ledger', 'chaos']) await client.db(`${name}${suffix}`).dropDatabase()
    return new ReplicaSetWork(client, random, suffix)
  }

  isUnderWay(): boolean {
    return this.#ledger.acknowledged.length > ENOUGH
  }

  mark(): void {
    this.#required = this.#ledger.acknowledged.length
  }

  async stop(): Promise<void> {
    await Promise.all([this.#ledger.stop(), this.#writer.stop()])
  }

  async wipe(): Promise<void> {
    for (const db of Object.values(this.#databases)) await this.#client.db(db).dropDatabase()
  }

  async faults(): Promise<string[]> {
    const { ledger: name } = this.#databases
    const found = new Set<number>()
    for await (const { _id } of this.#client.db(name).collection<{ _id: number }>('entries').find()) found.add(_id)
    const required = this.#ledger.acknowledged.slice(0, this.#required)
    const missing = required.filter((entry) => !found.has(entry))
    const invented = [...found].filter((entry) => entry >= this.#ledger.next)
    return [
      ...(missing.length === 0 ? [] : [`${name} misses ${missing.length} of ${required.length} acknowledged entries`]),
      ...(invented.length === 0 ? [] : [`${name} has ${invented.length} entries that nobody wrote`]),
    ]
  }
}
