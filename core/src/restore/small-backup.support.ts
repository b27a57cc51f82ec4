import { BSON, type Document, UUID } from 'bson'
import type { Db, MongoClient } from 'mongodb'
import type { NamespaceMetadata, NamespaceType } from '../archive/metadata.js'
import { readDocuments } from '../mongo/raw-read.js'
import { type Operation, optime, readEntries } from '../oplog/entry.js'
import { Applier } from '../oplog/replay/apply.js'
import { classify, operationsInside } from '../oplog/replay/classify.js'
import { Replay } from '../oplog/replay/replay.js'
import { deadlineGuard } from '../time/deadline-guard.js'
import { createCollections, dropReplaced, insertAll } from './data/collections.js'
import { createEarlyIndexes, withoutEarly } from './data/early-indexes.js'
import { setExpiry } from './data/expiry.js'
import { buildIndexes } from './data/indexes.js'
import { catalogOf, namesByUuid } from './data/target.js'
import { TouchedCollections } from './data/touched.js'
import { RecordedLog } from './restore.support.js'

type Step = () => Promise<void>
type Dumped = NamespaceMetadata & { documents: Buffer }

const nothingMore: Step = async () => undefined

/** A backup that is taken and restored step by step, without storage and agents. */
export class SmallBackup {
  readonly #client: MongoClient
  readonly #databases: readonly string[]
  readonly #guard = deadlineGuard(new AbortController().signal)
  #start: Document | undefined
  #end = 0n
  #dumped: Dumped[] = []
  readonly #entries: Buffer[] = []

  constructor(client: MongoClient, databases: readonly string[]) {
    this.#client = client
    this.#databases = databases
  }

  /** From here on the oplog belongs to it. */
  async begin(): Promise<void> {
    this.#start = await this.#newestEntry()
  }

  /** As a backup does: lists a database, then reads its collections one by one, by UUID, while work goes on. */
  async dump(between: Step = nothingMore): Promise<void> {
    for (const db of this.#databases) {
      const listed = await this.#list(db)
      for (const namespace of listed) {
        await between()
        namespace.documents = await this.#read(namespace)
        this.#dumped.push({ ...namespace, size: namespace.documents.length })
      }
    }
  }

  /** Up to here goes the oplog. */
  async end(): Promise<void> {
    const end = await this.#newestEntry()
    this.#end = optime(end)
    const filter = { ts: { $gte: this.#start, $lte: end } }
    for await (const documents of readDocuments(this.#client, 'local', 'oplog.rs', { filter }))
      this.#entries.push(documents)
  }

  /** `between`: the dump and the oplog; `atEnd`: of the oplog, before what comes last. */
  async restore(between: Step = nothingMore, atEnd: Step = nothingMore): Promise<void> {
    const [client, guard, dumped] = [this.#client, this.#guard, this.#dumped]
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
    const catalog = await catalogOf(client, dumped)
    const touched = new TouchedCollections()
    for await (const entry of readEntries(once(this.#entries))) touch(entry, entry.ts, touched)
    const early = await createEarlyIndexes(client, catalog.wanted(), { namespaces: dumped, touched, guard })
    const nothing = { onProgress: () => undefined, divert: async () => false, select: () => true }
    await insertAll(client, snapshot, { guard, width: 2, workers: 2, ...nothing })
    await between()
    const listNames = (db: string) => namesByUuid(client, db)
    const replay = new Replay({ sink: new Applier(client, { guard }), catalog, end: this.#end, listNames })
    await replay.run(readEntries(once(this.#entries)))
    await replay.finish()
    await atEnd()
    const log = new RecordedLog()
    await buildIndexes(client, withoutEarly(catalog.wanted(), early), {
      guard,
      log,
      commitQuorum: undefined,
      onBuilt: () => undefined,
    })
    await setExpiry(client, catalog.expiring(), { guard })
  }

  async #newestEntry() {
    const newest = await this.#client.db('local').collection('oplog.rs').find().sort({ $natural: -1 }).limit(1).next()
    return newest?.ts
  }

  async #list(db: string): Promise<Dumped[]> {
    const listed: Dumped[] = []
    const found = this.#client.db(db).listCollections({}, { nameOnly: false, promoteValues: false })
    for (const info of await found.toArray()) {
      if (info.name.startsWith('system.')) continue
      const uuid = (info.info as { uuid?: UUID }).uuid?.toString('hex').replaceAll('-', '')
      listed.push({
        db,
        collection: info.name,
        collectionName: info.name,
        type: info.type as NamespaceType,
        options: Buffer.from(BSON.serialize(info.options ?? {})),
        indexes: info.type === 'collection' ? await indexesOf(this.#client.db(db), info.name) : [],
        uuid,
        crc: 0n,
        size: 0,
        documents: Buffer.alloc(0),
      })
    }
    return listed
  }

  async #read({ db, collection, type, uuid }: Dumped): Promise<Buffer> {
    if (type === 'view') return Buffer.alloc(0)
    const source = uuid === undefined ? `system.buckets.${collection}` : new UUID(uuid)
    const found: Buffer[] = []
    try {
      for await (const documents of readDocuments(this.#client, db, source)) found.push(documents)
    } catch (error) {
      // Dropped since it was listed, which the oplog tells.
      if (!/^COLLECTION_/.test(String((error as { code?: unknown }).code))) throw error
    }
    return Buffer.concat(found)
  }
}

function touch(operation: Operation, ts: bigint, touched: TouchedCollections, depth = 0): void {
  const kind = classify(operation, ts)
  if (kind === 'change' || kind === 'command') touched.see(operation)
  if (kind !== 'nested') return
  for (const inner of operationsInside(operation, ts, depth)) touch(inner, ts, touched, depth + 1)
}

async function indexesOf(db: Db, name: string): Promise<Buffer[]> {
  const command = { listIndexes: name, cursor: { batchSize: 1000 } }
  const reply = await db.command(command, { promoteValues: false }).catch(() => undefined)
  return ((reply?.cursor.firstBatch ?? []) as Document[]).map((spec) => Buffer.from(BSON.serialize(spec)))
}

async function* once(buffers: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* buffers
}
