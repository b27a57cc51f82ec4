import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '@pbmkit/conformance/testbed'
import { optime } from '@pbmkit/core'
import type { ClientSession, Collection, MongoClient } from 'mongodb'
import { pick } from './shape.js'

type Entry = { _id: number; v: number }

/** Of one entry; all times are optimes. */
interface Change {
  /** Its value since then; undefined: deleted. */
  readonly value: number | undefined
  /** It came later than this. */
  readonly after: bigint
  /** By then a majority had it; undefined: nobody said so. */
  done?: bigint
}

/** Written at once: where a delayed member is needed for a majority, each write waits for it. */
const AT_ONCE = 4
const MAJORITY = { writeConcern: { w: 'majority', wtimeoutMS: 10_000 } } as const

/** Entries that are inserted, changed and deleted: what a restore must and may have of them can be told for any moment. */
export class Ledger {
  readonly #client: MongoClient
  readonly #entries: Collection<Entry>
  readonly #changes = new Map<number, Change[]>()
  readonly #stopping = new AbortController()
  readonly #writing: Promise<unknown>
  #next = 0
  #acknowledged = 0
  #lastAcknowledged = 0n

  constructor(client: MongoClient, db: string, random: Random) {
    this.#client = client
    this.#entries = client.db(db).collection<Entry>('entries')
    const seeds = Array.from({ length: AT_ONCE }, () => random(2 ** 31))
    this.#writing = Promise.all(seeds.map((seed) => this.#write(seededRandom(seed))))
  }

  /** How many changes a majority has. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** No change that was acknowledged until now is later. */
  get lastAcknowledged(): bigint {
    return this.#lastAcknowledged
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
  }

  /** What is not as it was at `time`, inclusive. */
  async faults(time: bigint): Promise<string[]> {
    const found = new Map<number, number>()
    for await (const { _id, v } of this.#entries.find()) found.set(_id, v)
    let [lost, early] = [0, 0]
    for (const [key, changes] of this.#changes) {
      const value = found.get(key)
      found.delete(key)
      const certain = changes.findLastIndex(({ done }) => done !== undefined && done <= time)
      const later = changes.findIndex(({ after }) => after >= time)
      // Before its first change there was none.
      const at = value === undefined && certain < 0 ? -1 : changes.findIndex((change) => change.value === value)
      if (at < certain) lost++
      else if (later >= 0 && at >= later) early++
    }
    return [
      ...(lost === 0 ? [] : [`${lost} of ${this.#changes.size} entries miss acknowledged changes`]),
      ...(early === 0 ? [] : [`${early} of ${this.#changes.size} entries have changes of later`]),
      ...(found.size === 0 ? [] : [`${found.size} entries were never written`]),
    ]
  }

  async #write(random: Random): Promise<void> {
    // Only this writer's, for what follows what is certain; none whose last change may or may not have been made.
    const own: number[] = []
    await this.#client.withSession(async (session) => {
      while (!this.#stopping.signal.aborted) {
        await this.#step(random, own, session)
        await sleep(5)
      }
    })
  }

  async #step(random: Random, own: number[], session: ClientSession): Promise<void> {
    const isNew = own.length === 0 || random(5) < 3
    const key = isNew ? this.#next++ : pick(random, own)
    const isDeleted = !isNew && random(3) === 0
    const changes = this.#changes.get(key) ?? []
    this.#changes.set(key, changes)
    const value = isDeleted ? undefined : changes.length
    const change: Change = { value, after: this.#lastAcknowledged }
    changes.push(change)
    try {
      if (value === undefined) await this.#entries.deleteOne({ _id: key }, { session, ...MAJORITY })
      else if (isNew) await this.#entries.insertOne({ _id: key, v: value }, { session, ...MAJORITY })
      else await this.#entries.updateOne({ _id: key }, { $set: { v: value } }, { session, ...MAJORITY })
    } catch {
      if (!isNew) own.splice(own.indexOf(key), 1)
      await sleep(50)
      return
    }
    if (session.operationTime === undefined) throw new Error('the server does not say when it wrote')
    change.done = optime(session.operationTime)
    if (change.done > this.#lastAcknowledged) this.#lastAcknowledged = change.done
    this.#acknowledged++
    if (isNew) own.push(key)
    else if (isDeleted) own.splice(own.indexOf(key), 1)
  }
}
