import { Binary, BSON } from 'bson'
import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { buildDocument, documentElement, type RawElement, stringElement } from '../../bson/build.js'
import { findDocument, findField, findString } from '../../bson/elements.js'
import { errorText, PbmError } from '../../errors.js'
import { applyOps, resultsOf } from '../../mongo/apply-ops.js'
import { RawValue } from '../../mongo/raw-command.js'
import { insertDocuments } from '../../mongo/raw-write.js'
import { BUCKETS_PREFIX, bucketsOf, isBuckets, userName } from '../../mongo/time-series.js'
import { binaryElement, elementsOf, isTrue } from '../../oplog/raw-fields.js'
import { withoutExpiry } from '../../oplog/replay/index-catalog.js'
import { isExcluded, isUsersOrRoles } from '../../oplog/replay/namespaces.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { ForeignCollections } from './foreign.js'
import { allOrFirstError, type Snapshot } from './snapshot.js'
import { listTarget, type TargetCollection } from './target.js'

/** `_id` index of collections whose backup does not list it: without one the server makes an old version. */
const DEFAULT_ID_INDEX = Buffer.from(BSON.serialize({ v: 2, key: { _id: 1 }, name: '_id_' }))

/** Drops under way at once: the server takes an exclusive lock for most of each. */
const WIDTH = 4
/** How long a command that creates collections may hold up all others, about. */
const MOMENT_MS = 100
const MOST_AT_ONCE = 16
/** Validators may be long, and a command has room for 16 MiB. */
const MOST_BYTES = 1024 * 1024

/**
 * Drops what the backup brings anew, by name, and `doomed`, which the oplog brings anew. What the backup does not have
 * stays (PBM: archive-and-oplog.md §3); another shard may be about to drop it with its database. Throws UUID_TAKEN, before it
 * drops anything, where what stays has a UUID of the backup.
 */
export async function dropReplaced(
  client: MongoClient,
  namespaces: readonly NamespaceMetadata[],
  guard: DeadlineGuard,
  doomedByOplog: ReadonlySet<string> = new Set(),
  isDroppedWhole: (db: string) => boolean = () => false,
): Promise<{ dropped: number; kept: number }> {
  const { doomed, staying } = replacedOf(await listTarget(client), namespaces, doomedByOplog)
  new ForeignCollections(
    staying.filter(({ db }) => !isDroppedWhole(db)),
    namespaces,
  ).refuse()
  const drop = async ({ db, name }: TargetCollection) => {
    guard.throwIfStopped()
    await client
      .db(db)
      .command({ drop: name, writeConcern: { w: 1 } })
      .catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== ILLEGAL_OPERATION) return ignoreMissing(error)
        return dropByOplog(client, db, name, guard)
      })
  }
  await inParallel(doomed, drop)
  return { dropped: doomed.length, kept: staying.filter(isData).length }
}

/** Of what the target has, what goes and what stays. Pure. */
export function replacedOf(
  target: readonly TargetCollection[],
  namespaces: readonly NamespaceMetadata[],
  doomedByOplog: ReadonlySet<string>,
): { readonly doomed: TargetCollection[]; readonly staying: TargetCollection[] } {
  const names = new Set(namespaces.map(({ db, collection }) => `${db}.${collection}`))
  const listed = new Set(target.map(({ db, name }) => `${db}.${name}`))
  const isDoomed = ({ db, name }: TargetCollection) => {
    const ns = `${db}.${name}`
    if (isExcluded(ns) || isUsersOrRoles(ns)) return false
    if (!isBuckets(ns)) return names.has(ns) || doomedByOplog.has(ns) || doomedByOplog.has(bucketsOf(ns))
    // Buckets go with their time series; only those that are without it go by themselves.
    const series = userName(ns)
    const isGiven = names.has(series) || doomedByOplog.has(series) || doomedByOplog.has(ns)
    return isGiven && !listed.has(series)
  }
  return { doomed: target.filter(isDoomed), staying: target.filter((one) => !isDoomed(one)) }
}

/** Not what the server keeps for itself. */
export function isData({ db, name }: Pick<TargetCollection, 'db' | 'name'>): boolean {
  return db !== 'admin' && !name.startsWith('system.')
}

/**
 * Creates collections with their UUIDs and options, then time series, then views. When documents expire is left out:
 * the target's TTL monitor would delete some while they are restored. See `setExpiry`.
 */
export async function createCollections(
  client: MongoClient,
  namespaces: readonly NamespaceMetadata[],
  guard: DeadlineGuard,
): Promise<void> {
  const ofType = (type: string) => namespaces.filter((namespace) => namespace.type === type)
  await createByOplog(client, ofType('collection'), guard)
  for (const series of ofType('timeseries')) {
    guard.throwIfStopped()
    await createTimeSeries(client, series, guard).catch((error: unknown) => {
      throw createFailed(series, error)
    })
  }
  await createByOplog(client, ofType('view'), guard)
}

export interface InsertOptions {
  readonly guard: DeadlineGuard
  /** Collections at once. */
  readonly width: number
  /** Insert commands under way a collection. */
  readonly workers: number
  /** Documents of one command; as many as fit where it is left out. */
  readonly batchDocuments?: number | undefined
  /** Told what came since it was told last. */
  readonly onProgress: (documents: number, bytes: number) => void
  /** Takes the documents of namespaces that are not inserted as they are: users and roles. */
  readonly divert: (namespace: NamespaceMetadata, documents: AsyncIterable<Buffer>) => Promise<boolean>
  readonly select: (namespace: NamespaceMetadata) => boolean
}

/**
 * Streams all documents of the backup into the collections, which are there and empty. Gives how many there are of each
 * namespace. A document that was deleted and inserted again while the backup was made may be in it twice: the oplog has
 * the right one.
 */
export async function insertAll(
  client: MongoClient,
  snapshot: Pick<Snapshot, 'readNamespaces'>,
  options: InsertOptions,
): Promise<ReadonlyMap<string, number>> {
  const inserted = new Map<string, number>()
  const { guard, width, workers, batchDocuments, select, divert } = options
  await snapshot.readNamespaces(
    async (namespace, documents) => {
      if (await divert(namespace, documents)) return
      const { db, collection, type } = namespace
      const name = type === 'timeseries' ? BUCKETS_PREFIX + collection : collection
      // The order of a capped collection is its content.
      const ordered = namespace.options !== undefined && isTrue(namespace.options, 'capped')
      const written = await insertDocuments(client, db, name, documents, {
        guard,
        inFlight: Math.min(4, Math.max(1, workers)),
        batchDocuments,
        ordered,
        passDuplicates: !ordered,
        onProgress: increments(options.onProgress),
      })
      inserted.set(`${db}.${collection}`, written.documents - written.duplicates)
    },
    { width, signal: guard.signal, select },
  )
  return inserted
}

/** Turns the totals one writer tells into what came since. */
function increments(tell: (documents: number, bytes: number) => void): (documents: number, bytes: number) => void {
  let [documentsBefore, bytesBefore] = [0, 0]
  return (documents, bytes) => {
    tell(documents - documentsBefore, bytes - bytesBefore)
    documentsBefore = documents
    bytesBefore = bytes
  }
}

/** `drop` as an oplog entry, for `system.js`: the command of that name refuses system collections. */
async function dropByOplog(client: MongoClient, db: string, collection: string, guard: DeadlineGuard): Promise<void> {
  const operation = { op: 'c', ns: `${db}.$cmd`, o: { drop: collection } }
  await applyOps(client, [operation], { guard }).catch(ignoreMissing)
}

/**
 * `create` as oplog entries, the only way to give UUIDs. Each command takes the server's global lock: as many collections as
 * it makes within a moment, so that heartbeats and everybody else have their turn between two commands, and a slow disk
 * lets nobody wait for many. Several commands at once would only queue for the lock. Servers take more than one creation only
 * from users with any action on any resource; from all others one by one.
 */
async function createByOplog(
  client: MongoClient,
  namespaces: readonly NamespaceMetadata[],
  guard: DeadlineGuard,
): Promise<void> {
  let atOnce = 1
  let most = MOST_AT_ONCE
  for (let from = 0; from < namespaces.length; ) {
    const some: Buffer[] = []
    let bytes = 0
    for (const namespace of namespaces.slice(from, from + atOnce)) {
      const raw = creation(namespace)
      bytes += raw.length
      if (some.length > 0 && bytes > MOST_BYTES) break
      some.push(raw)
    }
    const begun = performance.now()
    guard.throwIfStopped()
    try {
      await applyOps(client, RawValue.documents(some), { guard })
    } catch (error) {
      // Judged before the first is made.
      if ((error as { code?: unknown }).code === UNAUTHORIZED && some.length > 1) {
        atOnce = most = 1
        continue
      }
      // What it has made before it stopped is none of its failure.
      throw createFailed(namespaces[from + Math.max(0, resultsOf(error)?.lastIndexOf(false) ?? 0)], error)
    }
    const millis = performance.now() - begun
    if (millis < MOMENT_MS / 2) atOnce = Math.min(2 * atOnce, most)
    else if (millis > MOMENT_MS) atOnce = Math.max(1, Math.floor(atOnce / 2))
    from += some.length
  }
}

/** Options go in byte for byte. */
function creation(namespace: NamespaceMetadata): Buffer {
  const { db, collection, uuid, options, type } = namespace
  const o: RawElement[] = [stringElement('create', collection), ...lastingOptions(options)]
  const clustered = options !== undefined && findField(options, 'clusteredIndex') !== undefined
  if (type === 'collection' && !clustered) o.push(documentElement('idIndex', idIndexOf(namespace)))
  return buildDocument([
    stringElement('op', 'c'),
    stringElement('ns', `${db}.$cmd`),
    ...(uuid === undefined ? [] : [binaryElement('ui', Buffer.from(uuid, 'hex'), 4)]),
    documentElement('o', buildDocument(o)),
  ])
}

function createFailed(namespace: NamespaceMetadata | undefined, error: unknown): PbmError {
  const what = namespace === undefined ? 'collection' : `${namespace.type} ${namespace.db}.${namespace.collection}`
  return new PbmError('CREATE_FAILED', `The ${what} can't be created: ${errorText(error)}`, { cause: error })
}

function lastingOptions(options: Buffer | undefined): RawElement[] {
  return options === undefined ? [] : elementsOf(withoutExpiry(options))
}

/**
 * With the collation of the collection, the only one that the server takes: the index may be missing, or that of another
 * collection, where this one was dropped while the backup asked.
 */
function idIndexOf({ indexes, options }: NamespaceMetadata): Buffer {
  const listed = indexes?.find((spec) => findString(spec, 'name') === '_id_') ?? DEFAULT_ID_INDEX
  const collation = options === undefined ? undefined : findDocument(options, 'collation')
  return buildDocument([
    ...elementsOf(listed).filter(({ name }) => name !== 'ns' && name !== 'collation'),
    ...(collation === undefined ? [] : [documentElement('collation', collation)]),
  ])
}

/** The server makes the bucket collection itself; what indexes it adds are not those of the backup. */
async function createTimeSeries(
  client: MongoClient,
  namespace: NamespaceMetadata,
  guard: DeadlineGuard,
): Promise<void> {
  const { db, collection, options, bucketsUuid, bucketsOnly } = namespace
  const values = Object.fromEntries(lastingOptions(options).map((one) => [one.name, RawValue.element(one)]))
  const create = () => client.db(db).command({ create: collection, ...values })
  await create()
  if (bucketsUuid !== undefined) {
    await giveBucketsUuid(client, { ...namespace, bucketsUuid }, guard)
    guard.throwIfStopped()
    // Meets the buckets and only defines the series upon them; where they could not be made anew, makes both.
    if (bucketsOnly !== true) await create().catch(ignoreExisting)
  }
  guard.throwIfStopped()
  await client.db(db).command({ dropIndexes: collection, index: '*' })
}

/**
 * Replaces the buckets that the server made by the same ones under the UUID of the backup. Their options (a validator,
 * versions of formats) are the server's business, so they are taken from what it made. A server that does not take them
 * from here keeps the series with a UUID of its own; but buckets alone are sharded, and routed by their UUID.
 */
async function giveBucketsUuid(
  client: MongoClient,
  { db, collection, bucketsOnly, bucketsUuid }: NamespaceMetadata & { readonly bucketsUuid: string },
  guard: DeadlineGuard,
): Promise<void> {
  const name = BUCKETS_PREFIX + collection
  const [made] = await client.db(db).listCollections({ name }, { nameOnly: false, promoteValues: false }).toArray()
  if (made === undefined) return
  guard.throwIfStopped()
  await client.db(db).command({ drop: collection })
  const ui = new Binary(Buffer.from(bucketsUuid, 'hex'), 4)
  const operation = { op: 'c', ns: `${db}.$cmd`, ui, o: { create: name, ...made.options } }
  await applyOps(client, [operation], { guard }).catch((error: unknown) => {
    guard.throwIfStopped()
    if (bucketsOnly === true) throw error
  })
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(WIDTH)
  await allOrFirstError(
    items.map((item) => limit(() => work(item))),
    () => limit.clearQueue(),
  )
}

const UNAUTHORIZED = 13
const ILLEGAL_OPERATION = 20
const NAMESPACE_NOT_FOUND = 26
const NAMESPACE_EXISTS = 48

function ignoreExisting(error: unknown): void {
  if ((error as { code?: unknown }).code !== NAMESPACE_EXISTS) throw error
}

function ignoreMissing(error: unknown): void {
  if ((error as { code?: unknown }).code !== NAMESPACE_NOT_FOUND) throw error
}
