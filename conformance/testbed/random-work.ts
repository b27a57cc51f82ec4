import type { Db, MongoClient } from 'mongodb'

/** A whole number from 0 to below `below`. */
export type Random = (below: number) => number
type Step = (db: Db, name: string, random: Random, client: MongoClient) => Promise<unknown>

const NAMES = ['a', 'b', 'c', 'd', 'e']

/** What users do, each with how often. */
const STEPS: Record<string, { weight: number; run: Step }> = {
  insert: {
    weight: 8,
    run: (db, name, random) => {
      const documents = Array.from({ length: 1 + random(20) }, () => ({ _id: random(200), v: random(1000) }))
      return db.collection<{ _id: number }>(name).insertMany(documents, { ordered: false })
    },
  },
  update: {
    weight: 4,
    run: (db, name, random) =>
      db
        .collection<{ _id: number; v: number }>(name)
        .updateMany({ _id: { $gt: random(200) } }, { $inc: { v: 1 }, $set: { [`f${random(4)}`]: random(9) } }),
  },
  remove: {
    weight: 3,
    run: (db, name, random) =>
      db.collection<{ _id: number }>(name).deleteMany({ _id: { $gt: random(150), $lt: random(200) } }),
  },
  drop: { weight: 1, run: (db, name) => db.collection(name).drop() },
  create: {
    weight: 1,
    run: (db, name, random) => {
      const options = [{}, { capped: true, size: 4096, max: 20 }, { collation: { locale: 'fr' } }]
      return db.createCollection(name, options[random(3)])
    },
  },
  rename: {
    weight: 1,
    run: (db, name, random) => db.renameCollection(name, NAMES[random(5)] ?? '', { dropTarget: random(2) === 0 }),
  },
  index: {
    weight: 1,
    run: (db, name, random) =>
      db.createIndex(name, { [`f${random(4)}`]: 1, v: 1 }, { name: `i${random(4)}`, hidden: random(3) === 0 }),
  },
  dropIndex: {
    weight: 1,
    run: (db, name, random) => db.collection(name).dropIndex(random(4) === 0 ? '*' : `i${random(4)}`),
  },
  hide: {
    weight: 1,
    run: (db, name, random) => db.command({ collMod: name, index: { name: `i${random(4)}`, hidden: random(2) === 0 } }),
  },
  validate: {
    weight: 1,
    run: (db, name, random) => db.command({ collMod: name, validator: { v: { $gte: -random(5) } } }),
  },
  cap: { weight: 1, run: (db, name) => db.command({ convertToCapped: name, size: 8192 }) },
  view: {
    weight: 1,
    run: async (db, name, random) => {
      const view = `v${random(2)}`
      await db.collection(view).drop()
      await db.createCollection(view, { viewOn: name, pipeline: [{ $match: { v: random(9) } }] })
    },
  },
  transaction: {
    weight: 3,
    run: (db, name, random, client) =>
      client.withSession(async (session) => {
        session.startTransaction()
        await db.collection<{ _id: number }>(name).insertOne({ _id: 1000 + random(1000) }, { session })
        await db.collection<{ _id: number }>(name).updateOne({ _id: random(200) }, { $set: { t: 1 } }, { session })
        if (random(3) === 0) await session.abortTransaction()
        else await session.commitTransaction()
      }),
  },
  timeSeries: {
    weight: 3,
    run: async (db, _name, random) => {
      const name = `ts${random(2)}`
      if (random(8) === 0) return db.collection(name).drop()
      await db.createCollection(name, { timeseries: { timeField: 't', metaField: 'm' } }).catch(() => undefined)
      const at = () => new Date(1_700_000_000_000 + random(100_000_000))
      return db
        .collection(name)
        .insertMany(Array.from({ length: 5 }, () => ({ t: at(), m: random(3), x: random(100) })))
    },
  },
  out: {
    weight: 1,
    run: (db, name, random) =>
      db
        .collection(name)
        .aggregate([{ $limit: 50 }, { $out: NAMES[random(5)] ?? '' }])
        .toArray(),
  },
  dropDatabase: { weight: 1, run: async (db, _name, random) => random(6) === 0 && db.dropDatabase() },
}
const WEIGHTED = Object.values(STEPS).flatMap(({ weight, run }) => Array.from({ length: weight }, () => run))

/**
 * Does `count` random steps in the databases named: inserts, updates, deletes, drops, renames, indexes, `collMod`,
 * `convertToCapped`, views, transactions, time series. What the state of the moment does not allow fails, and that is fine.
 */
export async function randomWork(
  client: MongoClient,
  databases: readonly string[],
  random: Random,
  count: number,
): Promise<void> {
  for (let done = 0; done < count; done++) {
    const run = WEIGHTED[random(WEIGHTED.length)]
    const db = databases[random(databases.length)]
    await run?.(client.db(db), NAMES[random(NAMES.length)] ?? '', random, client).catch(() => undefined)
  }
}

/** mulberry32: the same numbers for the same seed. */
export function seededRandom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
