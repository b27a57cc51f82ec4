import assert from 'node:assert/strict'
import {
  compareStates,
  type ReplicaSet,
  randomWork,
  seededRandom,
  snapshotState,
  startReplicaSet,
} from '@pbmkit/conformance/testbed'
import { BSON, type Document, UUID } from 'bson'
import type { Db, MongoClient } from 'mongodb'
import type { NamespaceMetadata, NamespaceType } from '../archive/metadata.js'
import { readDocuments } from '../mongo/raw-read.js'
import { optime, readEntries } from '../oplog/entry.js'
import { Applier } from '../oplog/replay/apply.js'
import { Replay } from '../oplog/replay/replay.js'
import { deadlineGuard } from '../time/deadline-guard.js'
import { createCollections, dropReplaced, insertAll } from './data/collections.js'
import { buildIndexes } from './data/indexes.js'
import { catalogOf, namesByUuid } from './data/target.js'
import { RecordedLog } from './restore.support.js'

const DATABASES = ['fuzzy1', 'fuzzy2']
const SEEDS = [983_348_241, 1_360_333_835, 1_624_261_602, 20_311]

type Dumped = NamespaceMetadata & { documents: Buffer }

/** Whatever happens while a backup reads, restoring it and replaying its oplog gives the state at its end. */
describe('Replay over a fuzzy snapshot', () => {
  let set: ReplicaSet
  let client: MongoClient
  const guard = deadlineGuard(new AbortController().signal)

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
    await dropReplaced(client, dumped, guard)
    await createCollections(client, dumped, guard)
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
    await insertAll(client, snapshot, { guard, width: 2, workers: 2, ...nothing })
    const catalog = await catalogOf(client, dumped)
    const listNames = (db: string) => namesByUuid(client, db)
    const replay = new Replay({ sink: new Applier(client, { guard }), catalog, end, listNames })
    await replay.run(readEntries(once(entries)))
    await replay.finish()
    const log = new RecordedLog()
    await buildIndexes(client, catalog.wanted(), { guard, log, commitQuorum: undefined, onBuilt: () => undefined })
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
