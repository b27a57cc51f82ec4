import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { compareStates, type DatabaseState, seededRandom, snapshotState } from '@pbmkit/conformance/testbed'
import { type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import { until } from './cluster.support.js'

const ACCOUNTS = 40
const OPENING_BALANCE = 1_000
const PAGES = 300
/** What the writers write to, and nothing else is in there. */
export const WRITTEN = ['bank', 'load'] as const
const SUM = ACCOUNTS * OPENING_BALANCE

type Account = { _id: number; balance: number }
type Page = { _id: number; n: number; tags: number[]; text?: string }

/** A moment, and all that was in the database then. */
export interface Moment {
  readonly when: string
  readonly time: Timestamp
  readonly state: DatabaseState
}

export interface Writer {
  /** Ends the step it is at, and begins no other. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
  /** How many steps succeeded. */
  readonly done: number
}

/** A client that gives up what hangs, as one has to where a server may stand still for good. */
export const IMPATIENT = {
  connectTimeoutMS: 5_000,
  socketTimeoutMS: 5_000,
  heartbeatFrequencyMS: 500,
  serverSelectionTimeoutMS: 60_000,
} as const

export async function loadAccounts(client: MongoClient): Promise<void> {
  const accounts = Array.from({ length: ACCOUNTS / 2 }, (_, _id) => ({ _id, balance: OPENING_BALANCE }))
  for (const kind of ['checking', 'savings']) await client.db('bank').collection<Account>(kind).insertMany(accounts)
  await client.db('bank').createCollection('journal')
  const pages = client.db('load').collection<Page>('pages')
  await pages.insertMany(Array.from({ length: PAGES }, (_, _id) => ({ _id, n: 0, tags: [] })))
  await pages.createIndex({ n: 1, _id: 1 }, { unique: true })
}

/** Whatever happens, no money is made or lost. */
export async function assertBalanced(client: MongoClient, when: string): Promise<void> {
  const total = { $group: { _id: null, sum: { $sum: '$balance' } } }
  const sums = await Promise.all(
    ['checking', 'savings'].map((kind) => client.db('bank').collection(kind).aggregate([total]).next()),
  )
  assert.equal(
    sums.reduce((sum, part) => sum + Number(part?.sum), 0),
    SUM,
    `the sum of all accounts ${when}`,
  )
}

/** Moves money between two collections, and keeps a journal of it, in transactions; some are aborted. */
export function startTransfers(client: MongoClient, seed: number): Writer {
  const random = seededRandom(seed)
  const bank = client.db('bank')
  const wc = { readConcern: { level: 'majority' }, writeConcern: { w: 'majority' } } as const
  return startWriter(() =>
    client.withSession((session) =>
      session.withTransaction(async () => {
        const amount = 1 + random(50)
        const [from, to] = random(2) === 0 ? ['checking', 'savings'] : ['savings', 'checking']
        const move = (kind: string, by: number) =>
          bank
            .collection<Account>(kind)
            .updateOne({ _id: random(ACCOUNTS / 2) }, { $inc: { balance: by } }, { session })
        await move(from ?? '', -amount)
        await bank.collection('journal').insertOne({ from, to, amount }, { session })
        await move(to ?? '', amount)
        if (random(10) === 0) await session.abortTransaction()
      }, wc),
    ),
  )
}

/**
 * Changes, deletes and inserts documents, and makes, renames and drops collections. Half of it is not waited for by a
 * majority: what a primary alone knows is lost with it.
 */
export function startChanges(client: MongoClient, seed: number): Writer {
  const random = seededRandom(seed)
  const db = client.db('load')
  const pages = db.collection<Page>('pages')
  const turning = db.collection('turning')
  return startWriter(async () => {
    const options = { writeConcern: { w: random(2) === 0 ? 1 : ('majority' as const) } }
    const some = { _id: { $gte: random(PAGES), $mod: [7, random(7)] as [number, number] } }
    switch (random(8)) {
      case 0:
        return pages.deleteMany(some, options)
      case 1:
        return pages.insertMany(
          Array.from({ length: 10 }, () => ({ _id: random(PAGES), n: random(9), tags: [] })),
          { ...options, ordered: false },
        )
      case 2:
        return pages.updateMany(some, [{ $set: { text: { $concat: [{ $toString: '$n' }, ' was'] } } }], options)
      case 3: {
        const slice = { $each: [random(9), random(9)], $slice: -4 }
        return pages.updateMany(some, { $push: { tags: slice }, $inc: { n: 1 } }, options)
      }
      case 4:
        return pages.replaceOne({ _id: random(PAGES) }, { n: random(99), tags: [1] }, { ...options, upsert: true })
      case 5:
        await turning.drop()
        return turning.createIndex({ n: 1 }, { name: `by n ${random(9)}` })
      case 6:
        return turning.rename('turned', { dropTarget: true })
      default:
        return turning.insertMany(
          Array.from({ length: 5 }, () => ({ n: random(99) })),
          options,
        )
    }
  })
}

function startWriter(step: () => Promise<unknown>): Writer {
  let held = false
  const stopped = new AbortController()
  let working = false
  let done = 0
  const writing = (async () => {
    while (!stopped.signal.aborted) {
      if (!held) {
        working = true
        // A duplicate key, or no primary: the next one may do.
        await step().then(
          () => done++,
          () => sleep(50),
        )
        working = false
      }
      await sleep(10)
    }
  })()
  return {
    get done() {
      return done
    },
    pause: async () => {
      held = true
      await until('a writer to pause', async () => !working, 180)
    },
    resume: () => {
      held = false
    },
    stop: () => {
      stopped.abort()
      return writing
    },
  }
}

/**
 * The state of the database, and the time of an entry of the oplog that a majority has and at which it was so. Servers
 * may still be at work for clients that gave up, or lose what they hold: what two looks, before and after that entry,
 * agree upon under one primary was so.
 */
export async function record(client: MongoClient, writers: readonly Writer[], when: string): Promise<Moment> {
  const admin = client.db('admin')
  const primary = async () => String((await admin.command({ hello: 1 })).electionId)
  let moment: Moment | undefined
  const look = async () => {
    const term = await primary()
    const state = await snapshotState(client)
    const mark = new ObjectId()
    await admin.command({ appendOplogNote: 1, data: { mark }, writeConcern: { w: 'majority', wtimeout: 10_000 } })
    const entry = await client.db('local').collection('oplog.rs').findOne({ op: 'n', 'o.mark': mark })
    if (compareStates(state, await snapshotState(client)).length > 0 || term !== (await primary())) return
    await assertBalanced(client, when)
    if (entry !== null) moment = { when, time: entry.ts, state }
  }
  await Promise.all(writers.map((writer) => writer.pause()))
  try {
    let last: unknown
    await until(
      `a state to record: ${when}`,
      async () => {
        await look().catch((error: unknown) => {
          if (error instanceof assert.AssertionError) throw error
          last = error
        })
        return moment !== undefined
      },
      180,
    ).catch((error: unknown) => {
      throw new Error(`${error}`, { cause: last })
    })
  } finally {
    for (const writer of writers) writer.resume()
  }
  if (moment === undefined) throw new Error('unreachable')
  return moment
}
