import assert from 'node:assert/strict'
import { compareStates, type ReplicaSet, snapshotState, startReplicaSet } from '@pbmkit/conformance/testbed'
import { BSON, type Document, UUID } from 'bson'
import type { Db, MongoClient } from 'mongodb'
import type { NamespaceMetadata, NamespaceType } from '../archive/metadata.js'
import { readDocuments } from '../mongo/raw-read.js'
import { Applier } from '../oplog/apply.js'
import { optime, readEntries } from '../oplog/entry.js'
import { Replay } from '../oplog/replay.js'
import { createCollections, dropReplaced, insertAll } from './collections.js'
import { buildIndexes } from './indexes.js'
import { catalogOf, namesByUuid } from './target.js'
import { RecordedLog } from './testing.e2e.js'

const DATABASES = ['fuzzy1', 'fuzzy2']
const NAMES = ['a', 'b', 'c', 'd', 'e']
const SEEDS = [983_348_241, 1_360_333_835, 1_624_261_602, 20_311]

type Random = (below: number) => number
type Step = (db: Db, name: string, random: Random, client: MongoClient) => Promise<unknown>
type Dumped = NamespaceMetadata & { documents: Buffer }

/** What users do while a backup runs; what the state of the moment does not allow fails, and that is fine. */
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

/** Whatever happens while a backup reads, restoring it and replaying its oplog gives the state at its end. */
describe('Replay over a fuzzy snapshot', () => {
  let set: ReplicaSet
  let client: MongoClient
  const signal = new AbortController().signal

  before(async () => {
    set = await startReplicaSet()
    client = await set.client()
  })
  after(() => set?.stop())

  for (const seed of SEEDS) {
    it(`converges, seed ${seed}`, async () => {
      const random = generator(seed)
      const step = () =>
        (WEIGHTED[random(WEIGHTED.length)] as Step)(
          client.db(DATABASES[random(2)]),
          NAMES[random(5)] ?? '',
          random,
          client,
        ).catch(() => undefined)
      const steps = async (count: number) => {
        for (let done = 0; done < count; done++) await step()
      }
      await dropAll()
      await steps(60)
      const start = await newestEntry()
      await steps(random(40))
      const dumped = await dump(() => steps(3))
      await steps(random(40))
      const end = await newestEntry()
      const expected = await snapshotState(client)
      const entries: Buffer[] = []
      const filter = { ts: { $gte: start, $lte: end } }
      for await (const documents of readDocuments(client, 'local', 'oplog.rs', { filter })) entries.push(documents)
      await dropAll()
      await restore(dumped, entries, optime({ t: end.t, i: end.i }))
      assert.deepEqual(compareStates(expected, await snapshotState(client)), [])
    })
  }

  async function dropAll(): Promise<void> {
    for (const db of DATABASES) await client.db(db).dropDatabase()
  }

  async function newestEntry() {
    const newest = await client.db('local').collection('oplog.rs').find().sort({ $natural: -1 }).limit(1).next()
    return newest?.ts
  }

  /** As a backup does: lists a database, then reads its collections one by one, by UUID, while work goes on. */
  async function dump(between: () => Promise<void>): Promise<Dumped[]> {
    const dumped: Dumped[] = []
    for (const db of DATABASES) {
      const listed: Dumped[] = []
      for (const info of await client.db(db).listCollections({}, { nameOnly: false, promoteValues: false }).toArray()) {
        if (info.name.startsWith('system.')) continue
        const uuid = (info.info as { uuid?: UUID }).uuid?.toString('hex').replaceAll('-', '')
        listed.push({
          db,
          collection: info.name,
          collectionName: info.name,
          type: info.type as NamespaceType,
          options: Buffer.from(BSON.serialize(info.options ?? {})),
          indexes: info.type === 'collection' ? await indexesOf(client.db(db), info.name) : [],
          uuid,
          crc: 0n,
          size: 0,
          documents: Buffer.alloc(0),
        })
      }
      for (const namespace of listed) {
        await between()
        namespace.documents = await read(namespace)
        dumped.push({ ...namespace, size: namespace.documents.length })
      }
    }
    return dumped
  }

  async function read({ db, collection, type, uuid }: Dumped): Promise<Buffer> {
    if (type === 'view') return Buffer.alloc(0)
    const source = uuid === undefined ? `system.buckets.${collection}` : new UUID(uuid)
    const found: Buffer[] = []
    try {
      for await (const documents of readDocuments(client, db, source)) found.push(documents)
    } catch (error) {
      // Dropped since it was listed, which the oplog tells.
      if (!/^COLLECTION_/.test(String((error as { code?: unknown }).code))) throw error
    }
    return Buffer.concat(found)
  }

  async function restore(dumped: readonly Dumped[], entries: readonly Buffer[], end: bigint): Promise<void> {
    await dropReplaced(client, dumped, signal)
    await createCollections(client, dumped, signal)
    const snapshot = {
      toolVersion: '',
      namespaces: dumped,
      oplog: [],
      readNamespaces: async (
        consume: (namespace: NamespaceMetadata, documents: AsyncIterable<Buffer>) => Promise<void>,
      ) => {
        for (const namespace of dumped) if (namespace.size > 0) await consume(namespace, once([namespace.documents]))
      },
    }
    const nothing = { onProgress: () => undefined, divert: async () => false, select: () => true }
    await insertAll(client, snapshot, { signal, width: 2, workers: 2, ...nothing })
    const catalog = await catalogOf(client, dumped)
    const listNames = (db: string) => namesByUuid(client, db)
    const replay = new Replay({ sink: new Applier(client, { signal }), catalog, end, listNames })
    await replay.run(readEntries(once(entries)))
    await replay.finish()
    const log = new RecordedLog()
    await buildIndexes(client, catalog.wanted(), { signal, log, commitQuorum: undefined, onBuilt: () => undefined })
  }
})

async function indexesOf(db: Db, name: string): Promise<Buffer[]> {
  const command = { listIndexes: name, cursor: { batchSize: 1000 } }
  const reply = await db.command(command, { promoteValues: false }).catch(() => undefined)
  return ((reply?.cursor.firstBatch ?? []) as Document[]).map((spec) => Buffer.from(BSON.serialize(spec)))
}

async function* once(buffers: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* buffers
}

/** mulberry32: the same steps for the same seed. */
function generator(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
