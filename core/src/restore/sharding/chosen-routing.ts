import { Readable } from 'node:stream'
import { BSON, type Document, ObjectId, type Timestamp } from 'bson'
import type { MongoClient } from 'mongodb'
import type { RawElement } from '../../bson/build.js'
import { findField, findString } from '../../bson/elements.js'
import type { ChosenRoutes, ExistingNamespace } from '../../control/restore-document.js'
import type { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { insertDocuments } from '../../mongo/raw-write.js'
import { reshardingRunning, runningReshardings } from '../../mongo/resharding.js'
import { bucketsOf, userName } from '../../mongo/time-series.js'
import type { ReplsetTopology } from '../../mongo/topology.js'
import { databaseOf } from '../../oplog/entry.js'
import { binaryElement, elementsOf, findUuid, withField } from '../../oplog/raw-fields.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import type { Snapshot } from '../data/snapshot.js'
import { isHidden } from '../selective/choose.js'
import { type Agreement, destinationOf, type Wanted } from '../selective/plan.js'
import { isRestored, RoutingTables, withoutOperations } from './routing-tables.js'
import type { ReplayRouting } from './sharding.js'

const MAJORITY = { writeConcern: { w: 'majority' } } as const
const OBJECT_ID = 0x07

export interface ChosenRoutingContext {
  /** Direct connection to the primary of the config servers. */
  readonly client: MongoClient
  readonly log: OperationLog
  readonly guard: DeadlineGuard
  readonly cluster: readonly ReplsetTopology[]
  /** Of shards, in the backup → in the cluster. */
  readonly ids: ReadonlyMap<string, string>
}

/** A sharded collection as the routing tables had it. */
interface Routed {
  readonly raw: Buffer
  /** 32 hex digits. */
  readonly uuid: string
}

/**
 * Of the routing tables of a backup, what is about chosen namespaces, on the primary of the config servers. The whole tables
 * are put together beside the real ones, up to the restored time, before anything is dropped; so it is known by then what
 * was sharded, and where each database had its primary shard.
 */
export class ChosenRouting {
  readonly #context: ChosenRoutingContext
  readonly #tables: RoutingTables
  readonly #routed = new Map<string, Routed>()
  /** Database → id of its primary shard, as this cluster calls it. */
  readonly #primaries = new Map<string, string>()
  readonly #missing = new Map<string, string>()
  /** What is restored, and the name that it is to have. */
  readonly #destinations = new Map<string, string>()

  constructor(context: ChosenRoutingContext) {
    this.#context = context
    this.#tables = new RoutingTables(context.client, context.log)
  }

  /** Puts the tables together; `replay` brings them from the dump to the restored time. */
  async stage(whole: Snapshot, selection: Selection, replay: ReplayRouting): Promise<void> {
    const { guard } = this.#context
    await this.#tables.check(whole, guard.signal, isIn(selection))
    await this.#tables.load(whole, guard)
    await replay(this.#tables)
  }

  /** What the tables say of the selection. Throws `RESTORE_UNSUPPORTED` for what can't be routed anew. */
  async facts({ selection, keepExisting }: Wanted): Promise<ChosenRoutes> {
    const { cluster, ids } = this.#context
    const isChosen = isIn(selection)
    for await (const raw of this.#tables.staged('collections')) {
      const ns = findString(raw, '_id') ?? ''
      if (!isRestored(ns) || !isChosen(ns)) continue
      const uuid = findUuid(raw, 'uuid')?.toString('hex')
      if (uuid === undefined || findField(raw, 'timestamp') === undefined) {
        throw unsupported(`${ns} was sharded by a server older than MongoDB 5.0`)
      }
      this.#routed.set(ns, { raw, uuid })
    }
    const primaries: ChosenRoutes['primaries'] = []
    const databases = new Set(selection.entries.map(databaseOf))
    for await (const raw of this.#tables.staged('databases')) {
      const [db, before] = [findString(raw, '_id') ?? '', findString(raw, 'primary') ?? '']
      if (!isHidden({ nss: selection.entries }) && !databases.has(db)) continue
      const id = ids.get(before) ?? before
      this.#primaries.set(db, id)
      primaries.push({ db, primary: cluster.find((one) => one.id === id)?.rs ?? '' })
    }
    const sharded = [...this.#routed.keys()].map(userName)
    const existing = keepExisting === true ? { existing: await this.#existing(isChosen) } : {}
    return { primaries, sharded, series: await this.#series(), ...existing }
  }

  /** `resharded`: what to refuse with, by the UUID that a resharding gave. Its copies are in no backup. */
  refuseResharded(resharded: ReadonlyMap<string, PbmError>): void {
    for (const { uuid } of this.#routed.values()) {
      const refusal = resharded.get(uuid)
      if (refusal !== undefined) throw refusal
    }
  }

  /** What is sharded now. */
  async #existing(isChosen: (ns: string) => boolean): Promise<ExistingNamespace[]> {
    const found = await this.#config('collections')
      .find({}, { projection: { _id: 1 } })
      .toArray()
    const chosen = found.map(({ _id }) => _id).filter((ns) => isRestored(ns) && isChosen(ns))
    return chosen.map((ns) => ({ ns: userName(ns), type: userName(ns) === ns ? 'collection' : 'timeseries' }))
  }

  async #series(): Promise<{ ns: string; rs: string }[]> {
    const { cluster, ids } = this.#context
    const names = new Map([...this.#routed].flatMap(([ns, { uuid }]) => (userName(ns) === ns ? [] : [[uuid, ns]])))
    if (names.size === 0) return []
    const owners = new Map<string, { ns: string; rs: string }>()
    for await (const chunk of this.#tables.staged('chunks')) {
      const ns = names.get(findUuid(chunk, 'uuid')?.toString('hex') ?? '')
      if (ns === undefined) continue
      const before = findString(chunk, 'shard') ?? ''
      const rs = cluster.find((one) => one.id === (ids.get(before) ?? before))?.rs ?? ''
      owners.set(`${ns} ${rs}`, { ns: userName(ns), rs })
    }
    return [...owners.values()]
  }

  /**
   * What is not sharded lies on the primary shard of its database, so that must be where it was. Throws
   * `PRIMARY_SHARD_DIFFERS`, `RESHARDING_RUNNING`, `NAMESPACE_INCOMPLETE` and `NAMESPACE_EXISTS`.
   */
  async check({ everywhere, existing }: Agreement, wanted: Wanted): Promise<void> {
    const running = (await runningReshardings(this.#context.client)).find(({ ns }) => everywhere.has(userName(ns)))
    if (running !== undefined) throw reshardingRunning(running, 'it can not be restored')
    const series = [...this.#routed.keys()].map(userName).find((ns) => everywhere.has(ns) && !this.#routed.has(ns))
    if (wanted.query !== undefined && series !== undefined)
      throw unsupported(`${series} is a sharded time series, of which documents can't be chosen`)
    for (const ns of everywhere) if (!existing.has(ns)) this.#destinations.set(ns, destinationOf(wanted, ns))
    if (wanted.renaming !== undefined) await this.#refuseTaken()
    const pairs = new Set([...this.#destinations].map(([ns, to]) => `${databaseOf(ns)} ${databaseOf(to)}`))
    for (const pair of pairs) {
      const [source = '', db = ''] = pair.split(' ')
      const primary = this.#primaries.get(source)
      if (primary === undefined) {
        throw new PbmError('NAMESPACE_INCOMPLETE', `The backup does not say on which shard database ${source} lies`)
      }
      const found = await this.#config('databases').findOne({ _id: db })
      const now = found === null ? this.#missing.get(db) : String(found.primary)
      if (now === undefined) this.#missing.set(db, primary)
      else if (now !== primary) throw primaryDiffers(db, now, primary)
    }
  }

  /** Also where only another shard has it: of what is sharded, the primary shard need not have more than the name. */
  async #refuseTaken(): Promise<void> {
    const targets = [...this.#destinations.values()].flatMap((ns) => [ns, bucketsOf(ns)])
    const found = await this.#config('collections').findOne({ _id: { $in: targets } })
    if (found === null) return
    throw new PbmError('NAMESPACE_EXISTS', `${userName(found._id)} is there already`, {
      hint: 'Choose names that are free, or drop them first: nothing is written over.',
    })
  }

  async createDatabases(): Promise<void> {
    const { client, guard, log } = this.#context
    for (const [db, primaryShardId] of this.#missing) {
      guard.throwIfStopped()
      await client.db('admin').command({ _configsvrCreateDatabase: db, primaryShardId, ...MAJORITY })
      log.info(`database ${db} is made anew; its primary shard is ${primaryShardId}`)
    }
  }

  /** Lists what is sharded as if it had been sharded just now, with the chunks and zones that it had. */
  async publish({ everywhere, existing, uuidOf }: Agreement): Promise<void> {
    const { client, ids, log } = this.#context
    const made = new Set([...everywhere].filter((ns) => !existing.has(ns)))
    const routed = [...this.#routed].filter(([ns]) => made.has(userName(ns)))
    const now = await clusterTime(client)
    const uuids = new Map(routed.map(([, { uuid }]) => [uuid, uuidOf(uuid)]))
    await this.#insert('chunks', (chunk) => {
      const uuid = uuids.get(findUuid(chunk, 'uuid')?.toString('hex') ?? '')
      return uuid && chunkAnew(chunk, { uuid, now, ids })
    })
    const names = new Set(routed.map(([ns]) => ns))
    const zones = new Set<string>()
    await this.#insert('tags', (tag) => {
      const ns = findString(tag, 'ns') ?? ''
      if (!names.has(ns)) return undefined
      zones.add(findString(tag, 'tag') ?? '')
      return zoneAnew(tag, this.#placeOf(ns))
    })
    // Last: a collection that is listed has all its chunks.
    const collections = routed.map(([ns, { raw, uuid }]) =>
      withFields(withoutOperations(raw), [
        ...elements({
          _id: this.#placeOf(ns),
          lastmodEpoch: new ObjectId(),
          lastmod: new Date(),
          timestamp: now,
        }),
        binaryElement('uuid', uuidOf(uuid), 4),
      ]),
    )
    await this.#write('collections', Readable.from(collections))
    await this.#tables.dropStaging()
    for (const [ns] of routed) await client.db('admin').command({ flushRouterConfig: this.#placeOf(ns) })
    await this.#warnOfLostZones(zones)
    log.info(`routed ${routed.length} of the ${made.size} restored namespaces: those that are sharded`)
  }

  /** After a look at them. */
  async discard(): Promise<void> {
    await this.#tables.dropStaging()
  }

  /** What the routing tables are to call it: a time series by its buckets. */
  #placeOf(ns: string): string {
    const named = userName(ns)
    const place = this.#destinations.get(named) ?? named
    return named === ns ? place : bucketsOf(place)
  }

  #config(table: string) {
    return this.#context.client.db('config').collection<{ _id: string } & Document>(table)
  }

  async #insert(table: 'chunks' | 'tags', change: (document: Buffer) => Buffer | undefined): Promise<void> {
    const staged = this.#tables.staged(table)
    async function* changed() {
      for await (const document of staged) {
        const own = change(document)
        if (own !== undefined) yield own
      }
    }
    await this.#write(table, changed())
  }

  async #write(table: 'chunks' | 'tags' | 'collections', documents: AsyncIterable<Buffer>): Promise<void> {
    const { client, guard } = this.#context
    guard.throwIfStopped()
    await insertDocuments(client, 'config', table, documents, { guard })
  }

  /** Which shards are in a zone is the cluster's to say. */
  async #warnOfLostZones(zones: ReadonlySet<string>): Promise<void> {
    const known = new Set(
      (await this.#config('shards').find().toArray()).flatMap(({ tags }) => (tags ?? []) as string[]),
    )
    const lost = [...zones].filter((zone) => !known.has(zone))
    if (lost.length > 0) this.#context.log.warning(`no shard is in the zones ${lost.join(', ')} of what was restored`)
  }
}

/** Of a backup whose selection nobody can read, all that it has. */
export function isIn(selection: Selection): (ns: string) => boolean {
  return isHidden({ nss: selection.entries }) ? () => true : (ns) => selection.has(ns)
}

interface ChunkChange {
  readonly uuid: Buffer
  readonly now: Timestamp
  readonly ids: ReadonlyMap<string, string>
}

/** Its id may be in use: a collection that was renamed keeps its chunks. There is no earlier place to read it in the past. */
function chunkAnew(chunk: Buffer, { uuid, now, ids }: ChunkChange): Buffer {
  const before = findString(chunk, 'shard') ?? ''
  const shard = ids.get(before) ?? before
  // Servers that keep it beside the history want both to be the same.
  const since = findField(chunk, 'onCurrentShardSince') === undefined ? {} : { onCurrentShardSince: now }
  return withFields(chunk, [
    ...elements({ _id: new ObjectId(), shard, history: [{ validAfter: now, shard }], ...since }),
    binaryElement('uuid', uuid, 4),
  ])
}

function zoneAnew(tag: Buffer, ns: string): Buffer {
  const isByObjectId = findField(tag, '_id')?.type === OBJECT_ID
  return withFields(tag, elements(isByObjectId ? { _id: new ObjectId(), ns } : { _id: zoneId(tag, ns), ns }))
}

/** Older servers put namespace and bound together. */
function zoneId(tag: Buffer, ns: string): Document {
  const { min } = BSON.deserialize(tag, { promoteValues: false })
  return { ns, min }
}

function elements(document: Document): RawElement[] {
  return elementsOf(Buffer.from(BSON.serialize(document)))
}

function withFields(document: Buffer, fields: readonly RawElement[]): Buffer {
  return fields.reduce(withField, document)
}

function unsupported(what: string): PbmError {
  return new PbmError('RESTORE_UNSUPPORTED', what, { hint: 'Leave it out, or restore the whole backup elsewhere.' })
}

function primaryDiffers(db: string, now: string, then: string): PbmError {
  return new PbmError('PRIMARY_SHARD_DIFFERS', `The primary shard of ${db} is ${now}, and was ${then} at that time`, {
    hint: `Move it there first: db.adminCommand({movePrimary: '${db}', to: '${then}'}). Afterwards it may be moved again.`,
  })
}
