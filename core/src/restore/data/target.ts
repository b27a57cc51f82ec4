import { BSON, type UUID } from 'bson'
import type { MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { bucketsOf, isBuckets, userName } from '../../mongo/time-series.js'
import { expiryOf, IndexCatalog } from '../../oplog/replay/index-catalog.js'
import { isExcluded, isKnownByName, isUsersOrRoles, isViews } from '../../oplog/replay/namespaces.js'

/** A collection or view of the target. */
export interface TargetCollection {
  readonly db: string
  readonly name: string
  readonly type: string
  /** 32 hex digits; absent for views and time series. */
  readonly uuid: string | undefined
  readonly options: Buffer
}

/** Databases of which nothing is restored and nothing replayed. */
const NEVER: ReadonlySet<string> = new Set(['local', 'config'])

/** Everything the target has, but what a restore never touches. */
export async function listTarget(client: MongoClient): Promise<TargetCollection[]> {
  return await listDatabases(client, (name) => !NEVER.has(name))
}

/** Everything the target has at this moment. */
export async function listAll(client: MongoClient): Promise<TargetCollection[]> {
  return await listDatabases(client, () => true)
}

/** As {@link listTarget}, of a list of everything. */
export function touchable(all: readonly TargetCollection[]): TargetCollection[] {
  return all.filter(({ db }) => !NEVER.has(db))
}

async function listDatabases(client: MongoClient, isWanted: (name: string) => boolean): Promise<TargetCollection[]> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
  const limit = pLimit(4)
  const wanted = databases.filter(({ name }) => isWanted(name))
  const found = await Promise.all(wanted.map(({ name }) => limit(() => listDatabase(client, name))))
  return found.flat()
}

export async function listDatabase(client: MongoClient, db: string): Promise<TargetCollection[]> {
  const collections = await client.db(db).listCollections({}, { nameOnly: false }).toArray()
  return collections.map(({ name, type, options, info }) => ({
    db,
    name,
    type: type ?? 'collection',
    uuid: (info as { uuid?: UUID } | undefined)?.uuid?.toString('hex').replaceAll('-', ''),
    options: Buffer.from(BSON.serialize(options ?? {})),
  }))
}

/** UUID (hex) → namespace of one database as the target has it now. */
export async function namesByUuid(client: MongoClient, db: string): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  for (const { name, uuid } of await listDatabase(client, db)) if (uuid !== undefined) names.set(uuid, `${db}.${name}`)
  return names
}

/**
 * What a replay starts from: the collections the target has, with the indexes the backup gives them. Without a backup,
 * all that is there belongs to it.
 */
export async function catalogOf(
  client: MongoClient,
  restored: readonly NamespaceMetadata[] | undefined,
): Promise<IndexCatalog> {
  const catalog = new IndexCatalog()
  const all = await listAll(client)
  for (const uuid of reservedUuids(all).keys()) catalog.reserved.add(uuid)
  const own = new Set(restored?.map(({ db, collection }) => `${db}.${collection}`))
  const isForeign = (ns: string) => restored !== undefined && !own.has(ns) && !own.has(userName(ns)) && !isShared(ns)
  for (const { db, name, type, uuid, options } of touchable(all)) {
    const ns = `${db}.${name}`
    if (uuid !== undefined && (isExcluded(ns) || isKnownByName(ns))) catalog.reserved.add(uuid)
    if (isExcluded(ns)) continue
    if (type !== 'collection') {
      const views = isForeign(ns) ? catalog.foreignViews : catalog.ownViews
      views.add(ns)
      continue
    }
    const known = uuid === undefined || isKnownByName(ns) || isBuckets(ns) ? undefined : Buffer.from(uuid, 'hex')
    catalog.create(ns, known, options).foreign = isForeign(ns)
  }
  for (const { db, collection, type, options, indexes } of restored ?? []) {
    const ns = `${db}.${collection}`
    const holder = catalog.findByName(type === 'timeseries' ? bucketsOf(ns) : ns)
    if (holder !== undefined) holder.expireAfterSeconds = expiryOf(options)
    if (type === 'timeseries') for (const spec of indexes ?? []) catalog.addTimeSeriesIndex(ns, spec)
    const target = catalog.findByName(ns)
    if (type !== 'collection' || target === undefined) continue
    for (const spec of indexes ?? []) catalog.addIndex(target, spec)
  }
  return catalog
}

/**
 * UUID (hex) → name of what a restore never replaces, of all that the target has: a server would drop or rename what a backup
 * gives such a UUID.
 */
export function reservedUuids(all: readonly TargetCollection[]): ReadonlyMap<string, string> {
  const apart = all.filter(({ db }) => db === 'admin' || NEVER.has(db))
  const found = apart.map(({ db, name, uuid }) => ({ ns: `${db}.${name}`, uuid }))
  return new Map(found.flatMap(({ ns, uuid }) => (uuid !== undefined && isReserved(ns) ? [[uuid, ns] as const] : [])))
}

function isReserved(ns: string): boolean {
  return isExcluded(ns) || isUsersOrRoles(ns) || isViews(ns)
}

/** Collections in which the target's own documents stand beside those of the backup. */
function isShared(ns: string): boolean {
  return isUsersOrRoles(ns) || isViews(ns)
}
