import { type Document, type MongoClient, UUID } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { arrayElement, stringElement } from '../../bson/build.js'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { documentsOfArray, findDocument, findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { STAGING_PREFIX } from '../../mongo/control-names.js'
import { type RawReadOptions, readDocuments } from '../../mongo/raw-read.js'
import { insertDocuments } from '../../mongo/raw-write.js'
import { reshardingRunning, runningReshardings } from '../../mongo/resharding.js'
import { splitConnectionString } from '../../mongo/topology.js'
import { databaseOf, type Operation } from '../../oplog/entry.js'
import { findUuid, withField, withoutFields } from '../../oplog/raw-fields.js'
import { isReshardingCopy } from '../../oplog/replay/barriers.js'
import type { RoutingReplay } from '../../oplog/replay/options.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import type { Snapshot } from '../data/snapshot.js'
import { refuseForeignCollection, routedDatabase } from './routing-fit.js'

const TABLES = ['databases', 'collections', 'chunks', 'tags', 'settings', 'shards'] as const
type Table = (typeof TABLES)[number]

/** Every cluster makes this collection for itself. */
const SESSIONS = 'config.system.sessions'
/** What the balancer does is for the people of the target to say. */
const KEPT_SETTINGS: ReadonlySet<string> = new Set(['balancer', 'automerge'])
/** Of what the server was doing to a collection, and goes on with from notes that no restore brings back. */
const OF_OPERATIONS: ReadonlySet<string> = new Set(['allowMigrations', 'reshardingFields'])
const MAJORITY = { writeConcern: { w: 'majority' } } as const

/**
 * The routing tables of a sharded cluster, restored on the primary of its config servers. They are put together in
 * collections of their own, out of the dump and the oplog, and take the place of the target's in one step at the end:
 * until then no shard sees half a table, and the unique indexes of the real ones do not disturb the replay.
 */
export class RoutingTables implements RoutingReplay {
  readonly #client: MongoClient
  readonly #log: OperationLog

  constructor(client: MongoClient, log: OperationLog) {
    this.#client = client
    this.#log = log
  }

  /**
   * Before anything is touched: while a resharding runs here, the server would not let go of its collection; and of one that
   * was ending when the backup began, the documents are not in the backup. `concerns`: which collections are looked at.
   * Throws `RESHARDING_RUNNING`, `BACKUP_RESHARDING` and `BACKUP_DAMAGED`.
   */
  async check(snapshot: Snapshot, signal: AbortSignal, concerns = (_ns: string) => true): Promise<void> {
    const running = (await runningReshardings(this.#client)).find(({ ns }) => concerns(ns))
    if (running !== undefined) throw reshardingRunning(running, 'nothing can be restored')
    await snapshot.readNamespaces(
      async ({ collection }, documents) => {
        for await (const whole of wholeDocuments(documents))
          for (const one of documentsIn(whole)) {
            if (collection === 'databases') routedDatabase(one)
            else if (concerns(findString(one, '_id') ?? '')) refuseEnding(one)
          }
      },
      {
        width: 1,
        signal,
        select: ({ db, collection }) => db === 'config' && /^(?:collections|databases)$/.test(collection),
      },
    )
  }

  /** Loads the dump into empty staging collections. */
  async load(snapshot: Snapshot, guard: DeadlineGuard): Promise<void> {
    await this.dropStaging()
    for (const table of TABLES) await this.#admin.createCollection(STAGING_PREFIX + table)
    await snapshot.readNamespaces(
      async ({ collection }, documents) => {
        await insertDocuments(this.#client, 'admin', STAGING_PREFIX + collection, documents, { guard })
      },
      { width: 1, signal: guard.signal, select: isRoutingTable },
    )
  }

  redirect(operation: Operation): Operation | undefined {
    const { op, ns } = operation
    if (op !== 'i' && op !== 'u' && op !== 'd') return undefined
    const table = TABLES.find((name) => ns === `config.${name}`)
    return table === undefined ? undefined : { ...operation, ns: `admin.${STAGING_PREFIX}${table}`, ui: undefined }
  }

  /** Ids of the shards by the names of their replica sets, as the tables have them at the end of the oplog. */
  async shards(): Promise<Map<string, string>> {
    const found = await this.#staging('shards')
      .find({}, { projection: { host: 1 } })
      .toArray()
    const named = found.map(({ _id, host }) => [splitConnectionString(String(host)).rs, _id] as const)
    return new Map(named.filter(([rs, id]) => rs !== '' && typeof id === 'string'))
  }

  /**
   * Puts the tables in the place of the target's. What belongs to databases that the backup does not have stays, as does
   * the target's own collection of sessions. `shardIds`: of the backup → of the target. Throws `BACKUP_DAMAGED`, with
   * nothing written, for tables that no cluster has.
   */
  async publish(shardIds: ReadonlyMap<string, string>, guard: DeadlineGuard): Promise<void> {
    const databases = new Set<string>()
    for await (const one of this.staged('databases')) databases.add(routedDatabase(one))
    const target = await this.#routedNow()
    const known = new Set<string>()
    for await (const one of this.staged('collections')) {
      if (!isRestored(findString(one, '_id'))) continue
      refuseForeignCollection(one, databases, target)
      known.add(findUuid(one, 'uuid')?.toString('hex') ?? '')
    }
    const uuids = [...known].filter((uuid) => uuid !== '').map((uuid) => new UUID(uuid))
    await this.#clear([...databases], uuids, guard)
    const renamed = (document: Buffer, field: string) => {
      const id = findString(document, field) ?? ''
      const now = shardIds.get(id)
      return now === undefined || now === id ? document : withField(document, stringElement(field, now))
    }
    await this.#copy('databases', guard, (document) => renamed(document, 'primary'))
    await this.#copy('chunks', guard, (document) => {
      const uuid = findUuid(document, 'uuid')?.toString('hex')
      // Before 5.0 chunks named their collection.
      const isOwn = uuid === undefined ? findString(document, 'ns') !== SESSIONS : known.has(uuid)
      return isOwn ? renamedHistory(renamed(document, 'shard'), renamed) : undefined
    })
    await this.#copy('tags', guard, (document) => {
      const ns = findString(document, 'ns')
      return isRestored(ns) && databases.has(databaseOf(ns ?? '')) ? document : undefined
    })
    await this.#copySettings()
    await this.#zonesOfShards(shardIds)
    // Last: a collection that is listed has all its chunks.
    await this.#copy('collections', guard, (document) =>
      isRestored(findString(document, '_id')) ? withoutOperations(document) : undefined,
    )
    await this.dropStaging()
    await this.#client.db('admin').command({ flushRouterConfig: 1 })
    this.#log.info(`restored the routing tables of ${databases.size} databases and ${uuids.length} sharded collections`)
  }

  /** What the target has sharded at this moment: by UUID, its namespace. */
  async #routedNow(): Promise<Map<string, string>> {
    const found = await this.#config('collections')
      .find({}, { projection: { uuid: 1 } })
      .toArray()
    return new Map(found.flatMap(({ _id, uuid }) => (uuid instanceof UUID ? [[uuid.toHexString(false), _id]] : [])))
  }

  get #admin() {
    return this.#client.db('admin')
  }

  /** What the replay has just written there has not reached the majority yet, and a read of the majority would not see it. */
  #staging(table: Table) {
    const options = { readConcern: { level: 'local' } } as const
    return this.#admin.collection<{ _id: string } & Document>(STAGING_PREFIX + table, options)
  }

  #config(table: Table) {
    return this.#client.db('config').collection<{ _id: string } & Document>(table, MAJORITY)
  }

  /** The documents of a table as they have been put together, one by one, raw. */
  async *staged(table: Table, which: Pick<RawReadOptions, 'filter' | 'sort'> = {}): AsyncGenerator<Buffer> {
    const options = { ...which, readConcern: 'local', readPreference: 'primary' } as const
    const batches = readDocuments(this.#client, 'admin', STAGING_PREFIX + table, options)
    for await (const batch of wholeDocuments(batches)) yield* documentsIn(batch)
  }

  async dropStaging(): Promise<void> {
    for (const table of TABLES) await this.#staging(table).drop()
  }

  async #clear(databases: readonly string[], uuids: readonly UUID[], guard: DeadlineGuard): Promise<void> {
    const ofDatabases = { $in: databases.map((db) => new RegExp(`^${db.replace(/[^\w]/g, '\\$&')}\\.`)) }
    const replaced = await this.#config('collections')
      .find({ _id: ofDatabases } as Document, { projection: { uuid: 1 } })
      .toArray()
    const doomed = [...uuids, ...replaced.map(({ uuid }) => uuid as UUID)]
    guard.throwIfStopped()
    await this.#config('collections').deleteMany({ $or: [{ _id: ofDatabases }, { uuid: { $in: doomed } }] } as Document)
    guard.throwIfStopped()
    await this.#config('chunks').deleteMany({ $or: [{ uuid: { $in: doomed } }, { ns: ofDatabases }] })
    guard.throwIfStopped()
    await this.#config('tags').deleteMany({ ns: ofDatabases })
    guard.throwIfStopped()
    await this.#config('databases').deleteMany({ _id: { $in: [...databases] } })
  }

  /** Copies what `change` gives back for each raw document. */
  async #copy(table: Table, guard: DeadlineGuard, change: (document: Buffer) => Buffer | undefined): Promise<void> {
    const client = this.#client
    async function* changed() {
      const source = readDocuments(client, 'admin', STAGING_PREFIX + table, {
        signal: guard.signal,
        readConcern: 'local',
      })
      for await (const batch of wholeDocuments(source)) {
        const kept = [...documentsIn(batch)].flatMap((document) => change(document) ?? [])
        if (kept.length > 0) yield Buffer.concat(kept)
      }
    }
    await insertDocuments(client, 'config', table, changed(), { guard })
  }

  async #copySettings(): Promise<void> {
    for await (const setting of this.#staging('settings').find()) {
      // What is no name would be taken for a query, and may find those that stay.
      if (typeof setting._id !== 'string' || KEPT_SETTINGS.has(setting._id)) continue
      await this.#config('settings').replaceOne({ _id: setting._id }, setting, { upsert: true })
    }
  }

  /** Which zones a shard is in stands beside its hosts, which are the target's. */
  async #zonesOfShards(shardIds: ReadonlyMap<string, string>): Promise<void> {
    for await (const { _id, tags } of this.#staging('shards').find()) {
      if (typeof _id !== 'string') continue
      // No server lives with a zone that is no text.
      const isZones = Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')
      const change = isZones ? { $set: { tags } } : { $unset: { tags: '' } }
      await this.#config('shards').updateOne({ _id: shardIds.get(_id) ?? _id }, change as Document)
    }
  }
}

/** What every cluster makes for itself, and the unfinished copy of a resharding, are not. */
export function isRestored(ns: string | undefined): boolean {
  return ns !== SESSIONS && !isReshardingCopy(ns ?? '')
}

/** A listed collection as it is while the server does nothing to it. */
export function withoutOperations(collection: Buffer): Buffer {
  return withoutFields(collection, OF_OPERATIONS)
}

export function isRoutingTable({ db, collection }: Pick<NamespaceMetadata, 'db' | 'collection'>): boolean {
  return db === 'config' && (TABLES as readonly string[]).includes(collection)
}

/** The databases that a dump of the config servers knows, those without a collection, too. Throws `BACKUP_DAMAGED`. */
export async function routedDatabases(config: Snapshot, signal: AbortSignal): Promise<string[]> {
  const found: string[] = []
  await config.readNamespaces(
    async (_, documents) => {
      for await (const whole of wholeDocuments(documents))
        for (const one of documentsIn(whole)) found.push(routedDatabase(one))
    },
    { width: 1, signal, select: ({ db, collection }) => db === 'config' && collection === 'databases' },
  )
  return found
}

function refuseEnding(collection: Buffer): void {
  const fields = findDocument(collection, 'reshardingFields')
  if (fields === undefined || findString(fields, 'state') !== 'committing') return
  const ns = findString(collection, '_id') ?? '?'
  throw new PbmError('BACKUP_RESHARDING', `The backup was made in the moment when a resharding of ${ns} ended`, {
    hint: 'It does not have all documents of that collection: restore another backup.',
  })
}

/** Where a chunk was before; snapshot reads in the past look there. */
export function renamedHistory(chunk: Buffer, renamed: (document: Buffer, field: string) => Buffer): Buffer {
  const history = findDocument(chunk, 'history')
  if (history === undefined) return chunk
  const entries = documentsOfArray(history)
  const now = entries.map((entry) => renamed(entry, 'shard'))
  return now.every((entry, index) => entry === entries[index]) ? chunk : withField(chunk, arrayElement('history', now))
}
