import type { Document, MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { allOrFirstError } from '../data/snapshot.js'

const MAJORITY = { writeConcern: { w: 'majority' } } as const
const NAMESPACE_NOT_FOUND = 26
const STALE_DB_VERSION = 249
const STALE_CONFIG = 13388
const ATTEMPTS = 5
/** Each takes part of every shard's time. */
const DROPS_AT_ONCE = 4
/** Refreshes under way at once: each asks the config servers. */
const WIDTH = 8

export interface ShardCleanup {
  /** Direct connection to the primary of the shard. */
  readonly client: MongoClient
  readonly leader: MongoClient
  readonly shardId: string
  readonly guard: DeadlineGuard
  readonly log: OperationLog
}

/**
 * Drops the databases that the backup has, on all shards, from the one that is their primary: only the server's own command
 * also ends what it has planned for them (migrations, deletions of ranges) and forgets their routing (PBM:
 * control-plane.md §5.3, step 7). Compares ids of shards, where PBM compares names of replica sets.
 */
export async function dropShardedDatabases(cleanup: ShardCleanup, databases: ReadonlySet<string>): Promise<void> {
  const { client, leader, shardId, guard, log } = cleanup
  const own = await leader
    .db('config')
    .collection<{ _id: string; version?: Document }>('databases')
    .find({ primary: shardId })
    .toArray()
  for (const { _id: db, version } of own) {
    if (!databases.has(db)) continue
    await ofDatabase(cleanup, { db, version }, { _shardsvrDropDatabase: 1 })
    log.debug(`dropped database ${db} on all shards`)
  }
  // What a collection of the same UUID had still to be rid of would be deleted from the restored one.
  for (const db of databases) {
    const escaped = db.replace(/[^\w]/g, '\\$&')
    const deletions = client.db('config').collection('rangeDeletions', MAJORITY)
    guard.throwIfStopped()
    await deletions.deleteMany({ nss: { $regex: `^${escaped}\\.` } })
  }
}

/**
 * Drops collections and time series on all shards, those whose database has this shard as its primary: also what no routing
 * table lists, as a restore that failed leaves it. Views are left: only the primary shard has them.
 */
export async function dropShardedCollections(cleanup: ShardCleanup, namespaces: ReadonlySet<string>): Promise<void> {
  const { leader, shardId, log } = cleanup
  const databases = [...new Set([...namespaces].map(databaseOf))]
  const own = await leader
    .db('config')
    .collection<{ _id: string; version?: Document }>('databases')
    .find({ _id: { $in: databases }, primary: shardId })
    .toArray()
  const versions = new Map(own.map(({ _id, version }) => [_id, version]))
  const limit = pLimit(DROPS_AT_ONCE)
  const drops = [...namespaces]
    .filter((ns) => versions.has(databaseOf(ns)))
    .map((ns) =>
      limit(async () => {
        const db = databaseOf(ns)
        const command = { _shardsvrDropCollection: collectionOf(ns) }
        await ofDatabase(cleanup, { db, version: versions.get(db) }, command)
        log.debug(`dropped ${ns} on all shards`)
      }),
    )
  await allOrFirstError(drops, () => limit.clearQueue())
}

/** What a mongos would send to the primary shard of a database. What is not there is dropped already. */
async function ofDatabase(
  { client, guard }: ShardCleanup,
  { db, version }: { readonly db: string; readonly version: Document | undefined },
  command: Document,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    guard.throwIfStopped()
    try {
      await client.db(db).command({ ...command, databaseVersion: version, ...MAJORITY })
      return
    } catch (error) {
      const { code } = error as { code?: unknown }
      if (code === NAMESPACE_NOT_FOUND) return
      const isStale = code === STALE_DB_VERSION || code === STALE_CONFIG
      if (!isStale || attempt === ATTEMPTS) {
        const what = Object.values(command).find((value) => typeof value === 'string')
        const name = what === undefined ? `Database ${db}` : `${db}.${what}`
        throw new PbmError('DROP_FAILED', `${name} can't be dropped on all shards: ${errorText(error)}`, {
          cause: error,
        })
      }
      await client.db('admin').command({ _flushDatabaseCacheUpdates: db })
    }
  }
}

/** Which of the routing tables a shard reads anew. */
export interface Refreshed {
  readonly databases: readonly string[]
  readonly namespaces: readonly string[]
}

/**
 * Lets a shard forget what it knew of the routing tables, all of them or some, and read those of its restored collections.
 * Where all are restored, what it has stored of them goes first: it asks only for what is newer than that, and of a collection
 * that was changed or renamed after the restored time it would find nothing. What is chosen is published as newer.
 */
export async function refreshRouting(
  client: MongoClient,
  leader: MongoClient,
  guard: DeadlineGuard,
  only?: Refreshed,
): Promise<void> {
  const admin = client.db('admin')
  const named = async (table: string, names: readonly string[] | undefined) => {
    const filter = names === undefined ? {} : { _id: { $in: [...names] } }
    const found = leader
      .db('config')
      .collection<{ _id: string }>(table)
      .find(filter, { projection: { _id: 1 } })
    return (await found.toArray()).map(({ _id }) => _id)
  }
  const [databases, collections] = await Promise.all([
    named('databases', only?.databases),
    named('collections', only?.namespaces),
  ])
  const limit = pLimit(WIDTH)
  const forget = (ns: string) => limit(() => (guard.signal.aborted ? undefined : forgetStored(client, ns)))
  if (only === undefined) await Promise.all(collections.map(forget))
  const run = (command: Document) => limit(() => (guard.signal.aborted ? undefined : admin.command(command)))
  await Promise.all((only === undefined ? [1] : collections).map((what) => run({ flushRouterConfig: what })))
  await Promise.all(databases.map((db) => run({ _flushDatabaseCacheUpdates: db })))
  await Promise.all(collections.map((ns) => run({ _flushRoutingTableCacheUpdates: ns })))
  guard.throwIfStopped()
}

async function forgetStored(client: MongoClient, ns: string): Promise<void> {
  const config = client.db('config')
  const gone = await config.collection<{ _id: string }>('cache.collections', MAJORITY).deleteOne({ _id: ns })
  if (gone.deletedCount > 0) await config.collection(`cache.chunks.${ns}`, MAJORITY).deleteMany({})
}
