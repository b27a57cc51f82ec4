import type { Document, MongoClient } from 'mongodb'
import pLimit from 'p-limit'
import { errorText, PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'

const MAJORITY = { writeConcern: { w: 'majority' } } as const
const NAMESPACE_NOT_FOUND = 26
const STALE_DB_VERSION = 249
const STALE_CONFIG = 13388
const ATTEMPTS = 5
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
    await dropDatabase(client, db, version, guard)
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

async function dropDatabase(
  client: MongoClient,
  db: string,
  version: Document | undefined,
  guard: DeadlineGuard,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    guard.throwIfStopped()
    try {
      await client.db(db).command({ _shardsvrDropDatabase: 1, databaseVersion: version, ...MAJORITY })
      return
    } catch (error) {
      const { code } = error as { code?: unknown }
      if (code === NAMESPACE_NOT_FOUND) return
      const isStale = code === STALE_DB_VERSION || code === STALE_CONFIG
      if (!isStale || attempt === ATTEMPTS) {
        throw new PbmError('DROP_FAILED', `Database ${db} can't be dropped on all shards: ${errorText(error)}`, {
          cause: error,
        })
      }
      await client.db('admin').command({ _flushDatabaseCacheUpdates: db })
    }
  }
}

/**
 * Lets a shard forget what it knew of the routing tables, and read those of its restored collections. What it has stored of them
 * goes first: it asks only for what is newer than that, and of a collection that was changed or renamed after the restored time
 * it would find nothing.
 */
export async function refreshRouting(client: MongoClient, leader: MongoClient, guard: DeadlineGuard): Promise<void> {
  const admin = client.db('admin')
  const config = leader.db('config')
  const [databases, collections] = await Promise.all([
    config
      .collection<{ _id: string }>('databases')
      .find({}, { projection: { _id: 1 } })
      .toArray(),
    config
      .collection<{ _id: string }>('collections')
      .find({}, { projection: { _id: 1 } })
      .toArray(),
  ])
  const limit = pLimit(WIDTH)
  const forget = (ns: string) => limit(() => (guard.signal.aborted ? undefined : forgetStored(client, ns)))
  await Promise.all(collections.map(({ _id }) => forget(_id)))
  await admin.command({ flushRouterConfig: 1 })
  const run = (command: Document) => limit(() => (guard.signal.aborted ? undefined : admin.command(command)))
  await Promise.all(databases.map(({ _id }) => run({ _flushDatabaseCacheUpdates: _id })))
  await Promise.all(collections.map(({ _id }) => run({ _flushRoutingTableCacheUpdates: _id })))
  guard.throwIfStopped()
}

async function forgetStored(client: MongoClient, ns: string): Promise<void> {
  const config = client.db('config')
  const gone = await config.collection<{ _id: string }>('cache.collections', MAJORITY).deleteOne({ _id: ns })
  if (gone.deletedCount > 0) await config.collection(`cache.chunks.${ns}`, MAJORITY).deleteMany({})
}
