import { type Document, UUID } from 'bson'
import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { CollectionDefinition, NamespaceType } from '../../archive/metadata.js'
import { documentsIn } from '../../bson/documents.js'
import { findDocument, findField, findString } from '../../bson/elements.js'
import { Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import {
  CONTROL_COLLECTIONS,
  CONTROL_DATABASE,
  ROLES_COPY,
  STAGING_PREFIX,
  USERS_COPY,
} from '../../mongo/control-names.js'
import { type CursorOptions, readCursor } from '../../mongo/raw-read.js'
import { BUCKETS_PREFIX } from '../../mongo/time-series.js'
import { withoutFields } from '../../oplog/raw-fields.js'
import { isReshardingCopy } from '../../oplog/replay/barriers.js'
import { routingFilter } from './routing-documents.js'

/** A namespace to be dumped. `collection` is the user's name, also of a time series. */
export interface DumpNamespace extends CollectionDefinition {
  readonly db: string
  readonly collection: string
  /** Where the documents are; absent for a view. The UUID follows the collection through renames. */
  readonly source?: DumpSource | undefined
  /** Estimates of the server, for progress and for the order of work. */
  readonly bytes: number
  readonly documents: number
}

export interface DumpSource {
  readonly collection: string
  readonly uuid?: UUID | undefined
  /** Of which documents; all where it is left out. */
  readonly filter?: Document | undefined
}

export interface NamespaceSelection {
  /** `db.collection`, `db.*` or `*.*`; absent or empty for everything. */
  readonly nss?: readonly string[] | undefined
  /** Whether a selective backup holds users and roles. */
  readonly usersAndRoles?: boolean | undefined
}

/** The collections of `config` that describe a sharded cluster; the rest belongs to the server that runs now. */
const CONFIG_COLLECTIONS = ['chunks', 'collections', 'databases', 'settings', 'shards', 'tags', 'version']
const USERS = 'system.users'
const ROLES = 'system.roles'
/** Definitions are asked for side by side: a database of thousands of collections should not wait for each in turn. */
const CONCURRENT_QUESTIONS = 8

export interface Source {
  /** Whose data are dumped. */
  readonly node: MongoClient
  /**
   * Whose definitions count: a member may lack indexes, by its configuration or because they are built member by member.
   * What is written there until now has to be in the oplog of the backup.
   */
  readonly primary: MongoClient
}

/** What a backup dumps of a member's data (PBM: storage-format.md §3), with its definition and its size. */
export async function listNamespaces(
  { node, primary }: Source,
  selection: NamespaceSelection = {},
  signal?: AbortSignal,
): Promise<DumpNamespace[]> {
  const { databases } = await node
    .db('admin')
    .command({ listDatabases: 1, nameOnly: true }, { readPreference: 'primaryPreferred' })
  const limit = pLimit(CONCURRENT_QUESTIONS)
  const chosen = Selection.of(selection.nss)
  const found: Promise<DumpNamespace | undefined>[] = []
  for (const { name: db } of databases as { name: string }[]) {
    if (db === 'local') continue
    const listed = await listCollections(node, db, { signal })
    // Later, so that whatever it has and the member lacks is in the oplog.
    const defined = await listCollections(primary, db, { signal, readPreference: 'primary' })
    const lists = { listed: byName(listed), defined: byUuid(defined) }
    for (const collection of listed) {
      refuseHidden(db, collection.name, lists.listed, selection)
      if (!isDumped(db, collection.name) || !isSelected(selection, db, collection.name)) continue
      refuseBucketless(db, collection)
      const filter = chosen === undefined ? undefined : await filterOf(node, chosen, db, collection.name)
      const described = limit(() => describe({ node, primary }, db, { ...collection, filter }, lists, signal))
      // It may fail while the next database is listed.
      described.catch(() => undefined)
      found.push(described)
    }
  }
  const namespaces = (await Promise.all(found)).filter((namespace) => namespace !== undefined)
  const copies = copiesOfUsersAndRoles(namespaces)
  // What a selective backup has of them are the copies alone.
  const originals = chosen === undefined ? namespaces : namespaces.filter((one) => !isUsersOrRoles(one))
  return [...originals, ...copies].sort((a, b) => compareText(a.db, b.db) || compareText(a.collection, b.collection))
}

/**
 * PBM restores users and roles from these copies and ignores the originals, so both are written; without the detour
 * over collections of that name in the database, which a crash would leave behind.
 */
function copiesOfUsersAndRoles(namespaces: readonly DumpNamespace[]): DumpNamespace[] {
  const copies: [string, string][] = [
    [USERS, USERS_COPY],
    [ROLES, ROLES_COPY],
  ]
  return copies.flatMap(([original, copy]) => {
    const found = namespaces.find(({ db, collection }) => db === CONTROL_DATABASE && collection === original)
    if (found === undefined) return []
    const idIndex = found.indexes?.filter((index) => findString(index, 'name') === '_id_') ?? []
    const uuid = new UUID().toHexString(false)
    return [{ ...found, collection: copy, collectionName: copy, indexes: idIndex, uuid }]
  })
}

export function isDumped(db: string, collection: string): boolean {
  if (db === 'config') return CONFIG_COLLECTIONS.includes(collection)
  if (db === CONTROL_DATABASE) {
    const skipped = ['system.keys', 'system.views', USERS_COPY, ROLES_COPY, ...CONTROL_COLLECTIONS]
    // What a restore that died has left behind.
    if (collection.startsWith(STAGING_PREFIX)) return false
    return !skipped.includes(collection) && !collection.startsWith(BUCKETS_PREFIX)
  }
  return !collection.startsWith('system.') || collection === 'system.js'
}

/** Of a time series the backup has the name, which something else has got: it would lack the buckets without a word. */
function refuseHidden(db: string, collection: string, all: Lists['listed'], selection: NamespaceSelection): void {
  const series = seriesOf(collection)
  if (series === undefined || all.get(series)?.type === 'timeseries') return
  if (isReshardingCopy(`${db}.${collection}`)) return
  if (!isDumped(db, series) || !isSelected(selection, db, series)) return
  throw new PbmError('BUCKETS_HIDDEN', `${db}.${collection} has buckets, and ${db}.${series} is no time series`, {
    hint: 'A backup would lack the buckets. Rename what has the name of the time series, or drop the buckets.',
  })
}

/**
 * Servers from 8.3 on can keep a time series as one collection, which then has a UUID of its own. What is read of it are
 * measurements, not buckets, and a restore would put them where buckets belong.
 */
export function refuseBucketless(db: string, { name, type, uuid }: Pick<ListedCollection, 'name' | 'type' | 'uuid'>) {
  if (type !== 'timeseries' || uuid === undefined) return
  throw new PbmError('SERIES_WITHOUT_BUCKETS', `The server keeps the time series ${db}.${name} without buckets`, {
    hint: 'Servers do so from MongoDB 8.3 on, and this version cannot store it. Name what else is to be stored with --ns.',
  })
}

export function isSelected({ nss, usersAndRoles }: NamespaceSelection, db: string, collection: string): boolean {
  const chosen = Selection.of(nss)
  if (chosen === undefined) return true
  if (isUsersOrRoles({ db, collection })) return usersAndRoles === true
  // Which of their documents, the filter says.
  return db === 'config' || chosen.has(`${db}.${collection}`)
}

function isUsersOrRoles({ db, collection }: { readonly db: string; readonly collection: string }): boolean {
  return db === CONTROL_DATABASE && (collection === USERS || collection === ROLES)
}

/** A selective backup has the users of its databases, and of the routing tables what is about it. */
async function filterOf(
  node: MongoClient,
  chosen: Selection,
  db: string,
  collection: string,
): Promise<Document | undefined> {
  if (isUsersOrRoles({ db, collection })) return { db: { $in: [...chosen.databases] } }
  return db === 'config' ? await routingFilter(node, chosen, collection) : undefined
}

interface ListedCollection {
  readonly name: string
  readonly type: NamespaceType
  readonly options: Buffer | undefined
  readonly uuid: UUID | undefined
  /** A time series of which only the buckets are listed. */
  readonly bucketsOnly?: true
}

async function listCollections(client: MongoClient, db: string, options: CursorOptions): Promise<ListedCollection[]> {
  const found: ListedCollection[] = []
  for await (const batch of readCursor(client, db, { listCollections: 1 }, options)) {
    for (const entry of documentsIn(batch)) {
      const info = findDocument(entry, 'info')
      const uuid = info === undefined ? undefined : findField(info, 'uuid')
      const options = findDocument(entry, 'options')
      found.push({
        name: findString(entry, 'name') ?? '',
        type: (findString(entry, 'type') ?? 'collection') as NamespaceType,
        options: options === undefined || options.length <= 5 ? undefined : options,
        // Binary: length, subtype, then the 16 bytes.
        uuid: info === undefined || uuid === undefined ? undefined : new UUID(info.subarray(uuid.value + 5, uuid.end)),
      })
    }
  }
  return [...found, ...seriesOfBuckets(db, found)]
}

/** What the server shows of a time series is what its buckets have but these. */
const OF_BUCKETS: ReadonlySet<string> = new Set(['validator', 'clusteredIndex'])

/**
 * The time series whose buckets are listed alone: of a sharded one, a shard that is not the primary shard of its database
 * has no more.
 */
function seriesOfBuckets(db: string, listed: readonly ListedCollection[]): ListedCollection[] {
  const names = new Set(listed.map(({ name }) => name))
  return listed.flatMap((buckets) => {
    const name = seriesOf(buckets.name)
    if (name === undefined || names.has(name) || isReshardingCopy(`${db}.${buckets.name}`)) return []
    const options = buckets.options && withoutFields(buckets.options, OF_BUCKETS)
    return [{ name, type: 'timeseries', options, uuid: undefined, bucketsOnly: true }]
  })
}

/** The name of the time series whose buckets these are; undefined of all other collections. */
function seriesOf(collection: string): string | undefined {
  return collection.startsWith(BUCKETS_PREFIX) ? collection.slice(BUCKETS_PREFIX.length) : undefined
}

interface Lists {
  /** The collections of a database as the member has them, by name. */
  readonly listed: ReadonlyMap<string, ListedCollection>
  /** As the primary has them, by UUID. */
  readonly defined: ReadonlyMap<string, ListedCollection>
}

function byName(collections: readonly ListedCollection[]): Lists['listed'] {
  return new Map(collections.map((collection) => [collection.name, collection]))
}

/** A time series by the UUID of its buckets. */
function byUuid(collections: readonly ListedCollection[]): Lists['defined'] {
  const all = byName(collections)
  const dataOf = (one: ListedCollection) => (one.type === 'timeseries' ? bucketsOf(one, all) : one)
  const named = collections.filter(({ name }) => !name.startsWith(BUCKETS_PREFIX))
  return new Map(named.flatMap((one) => (dataOf(one).uuid === undefined ? [] : [[String(dataOf(one).uuid), one]])))
}

function bucketsOf(series: ListedCollection, all: Lists['listed']): ListedCollection {
  return all.get(`${BUCKETS_PREFIX}${series.name}`) ?? series
}

async function describe(
  { node, primary }: Source,
  db: string,
  listed: ListedCollection & { readonly filter: Document | undefined },
  { listed: all, defined }: Lists,
  signal?: AbortSignal,
): Promise<DumpNamespace | undefined> {
  const { name, type } = listed
  const common = { db, collection: name, collectionName: name, type }
  if (type === 'view') return { ...common, options: listed.options, indexes: [], bytes: 0, documents: 0 }
  const data = type === 'timeseries' ? bucketsOf(listed, all) : listed
  const definition = defined.get(String(data.uuid))
  // By its UUID: another collection may have got the name meanwhile, and this one another name. Of a time series the server
  // tells by its name alone what a user knows of it; it can't be renamed.
  const asked = type === 'timeseries' ? name : (data.uuid ?? name)
  const [indexes, size] = await Promise.all([
    definition === undefined
      ? undefined
      : indexesOf(primary, db, { asked, data }, { signal, readPreference: 'primary' }),
    estimate(node, db, data.name),
  ])
  return {
    ...common,
    options: (definition ?? listed).options,
    // Dropped on the primary meanwhile: the oplog knows, and needs the collection to exist until it drops it.
    indexes: indexes ?? (await indexesOf(node, db, { asked, data }, { signal })) ?? [],
    // mongodump gives a time series no UUID either: its bucket collection has it.
    ...(type === 'timeseries' ? {} : { uuid: data.uuid?.toHexString(false) }),
    ...(type === 'timeseries' && data.uuid !== undefined ? { bucketsUuid: data.uuid.toHexString(false) } : {}),
    ...(listed.bucketsOnly === true ? { bucketsOnly: true } : {}),
    source: { collection: data.name, uuid: data.uuid, filter: listed.filter },
    // Of some documents only, nothing is known.
    ...(listed.filter === undefined ? size : { bytes: 0, documents: 0 }),
  }
}

/** Undefined where the collection is gone, or the time series is another one by then. */
async function indexesOf(
  client: MongoClient,
  db: string,
  { asked, data }: { readonly asked: string | UUID; readonly data: ListedCollection },
  options: CursorOptions,
): Promise<Buffer[] | undefined> {
  const found = await listIndexes(client, db, asked, options)
  if (asked instanceof UUID || found === undefined) return found
  const [now] = await client.db(db).listCollections({ name: data.name }, { nameOnly: false }).toArray()
  return String(now?.info?.uuid) === String(data.uuid) ? found : undefined
}

/** Finished indexes only: one that is being built gets into a restore when, and if, the oplog commits it. */
async function listIndexes(client: MongoClient, db: string, collection: string | UUID, options: CursorOptions) {
  const indexes: Buffer[] = []
  const plain = { listIndexes: collection }
  try {
    for await (const batch of readCursor(client, db, { ...plain, includeBuildUUIDs: true }, options)) {
      for (const index of documentsIn(batch)) {
        if (findField(index, 'buildUUID') === undefined && findDocument(index, 'key') !== undefined) indexes.push(index)
      }
    }
  } catch (error) {
    if (error instanceof PbmError && error.code === 'COLLECTION_MISSING') return undefined
    throw error
  }
  return indexes
}

async function estimate(node: MongoClient, db: string, collection: string) {
  const reply = await node
    .db(db)
    .command({ collStats: collection }, { readPreference: 'primaryPreferred' })
    // Only progress and order depend on it.
    .catch((): Document => ({}))
  return { bytes: Number(reply.size ?? 0), documents: Number(reply.count ?? 0) }
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
