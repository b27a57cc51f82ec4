import { createHash } from 'node:crypto'
import { deserialize, EJSON, serialize, type UUID } from 'bson'
import type { Document, MongoClient } from 'mongodb'
import { rawDocuments } from './raw-documents.js'

/** A value in canonical Extended JSON, so that states can be kept in files and compared without losing a type. */
export type CanonicalJson =
  | null
  | boolean
  | string
  | readonly CanonicalJson[]
  | { readonly [key: string]: CanonicalJson }

export interface CollectionState {
  readonly type: string
  /** As listCollections tells them. */
  readonly options: Readonly<Record<string, CanonicalJson>>
  /** Not for views and time series. */
  readonly uuid?: string
  /** As listIndexes tells them, sorted by name. Not for views and time series (their buckets have them). */
  readonly indexes?: readonly Readonly<Record<string, CanonicalJson>>[]
  /** Not for views. */
  readonly count?: CanonicalJson
  /** Over the raw BSON documents in `_id` order. Not for views and time series. */
  readonly sha256?: string
}

/** Everything a backup has to bring back; the shape of `expected.*.json` in the fixtures. */
export interface DatabaseState {
  /** By database, by collection. Without admin, config and local. */
  readonly dbs: Readonly<Record<string, Readonly<Record<string, CollectionState>>>>
  /** `sha256` covers the whole document with its credentials; the fixtures lack it. */
  readonly users: readonly Readonly<Record<string, CanonicalJson>>[]
  readonly roles: readonly Readonly<Record<string, CanonicalJson>>[]
}

/** Keeps int32, int64 and double apart. */
const EXACT = { promoteValues: false } as const
/** CommandOnShardedViewNotSupportedOnMongod. */
const SHARDED_VIEW = 169
const SERVER_DATABASES = ['admin', 'config', 'local']

/**
 * Reads the whole state of a replica set or a standalone server through a client that may read everything.
 * It is a consistent picture only while nobody writes.
 */
export async function snapshotState(client: MongoClient): Promise<DatabaseState> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
  const dbs: Record<string, Record<string, CollectionState>> = {}
  for (const { name } of databases.toSorted(byName)) {
    if (SERVER_DATABASES.includes(name)) continue
    const collections: Record<string, CollectionState> = {}
    const listed = await client.db(name).listCollections({}, EXACT).toArray()
    for (const info of listed.toSorted(byName)) {
      // The server keeps the definitions of views there; they are compared as views.
      if (info.name === 'system.views') continue
      collections[info.name] = await collectionState(client, name, info)
    }
    dbs[name] = collections
  }
  return { dbs, users: await users(client), roles: await roles(client) }
}

async function collectionState(client: MongoClient, db: string, info: Document): Promise<CollectionState> {
  const name = info.name as string
  const type = info.type as string
  const options = canonical(info.options as Document) as Record<string, CanonicalJson>
  if (type === 'view') return { type, options }
  const collection = client.db(db).collection(name)
  if (type === 'timeseries') {
    // Of a sharded one only mongos tells; its buckets are here all the same.
    const count = await collection.countDocuments({}).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === SHARDED_VIEW) return undefined
      throw error
    })
    return { type, options, ...(count === undefined ? {} : { count: canonical(count) }) }
  }
  const indexes = await client.db(db).command({ listIndexes: name, cursor: { batchSize: 1000 } }, EXACT)
  const hash = createHash('sha256')
  let count = 0
  for await (const bytes of rawDocuments(client, db, name)) {
    hash.update(bytes)
    count++
  }
  return {
    type,
    options,
    uuid: (info.info.uuid as UUID).toHexString(true),
    indexes: (indexes.cursor.firstBatch as Document[])
      .toSorted(byName)
      .map((index) => canonical(index) as Record<string, CanonicalJson>),
    count: canonical(count),
    sha256: hash.digest('hex'),
  }
}

async function users(client: MongoClient): Promise<Record<string, CanonicalJson>[]> {
  const found: Record<string, CanonicalJson>[] = []
  for await (const bytes of rawDocuments(client, 'admin', 'system.users')) {
    const { _id, userId, roles } = deserialize(bytes, { promoteValues: false })
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    found.push({ ...(canonical({ _id, userId, roles }) as Record<string, CanonicalJson>), sha256 })
  }
  return found
}

async function roles(client: MongoClient): Promise<Record<string, CanonicalJson>[]> {
  const found: Record<string, CanonicalJson>[] = []
  for await (const bytes of rawDocuments(client, 'admin', 'system.roles')) {
    found.push(canonical(deserialize(bytes, { promoteValues: false })) as Record<string, CanonicalJson>)
  }
  return found
}

export function canonical(value: unknown): CanonicalJson {
  // Through BSON and back, so that a number is what BSON makes of it and no class of the driver shows.
  const { wrapped } = deserialize(serialize({ wrapped: value }), { promoteValues: false })
  return JSON.parse(EJSON.stringify(wrapped, { relaxed: false })) as CanonicalJson
}

function byName(a: Document, b: Document): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
