import type { MongoClient } from 'mongodb'
import { type LockHeader, listLocks } from '../control/locks.js'
import { STAGING_DATABASE } from '../control/staging-name.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { STAGING_PREFIX } from '../mongo/control-names.js'
import { hello } from '../mongo/topology.js'

const ROUTING_TABLE = new RegExp(`^${STAGING_PREFIX.replace('.', '\\.')}`)
/** Operations that make such databases: the restore whose own it is, and those that bring one back with everything else. */
const MAKERS: ReadonlySet<LockHeader['type']> = new Set(['restore', 'replay', 'planRestore'])

/** However the restore has ended. What can't be dropped now goes by {@link repairStaging}. */
export async function dropStaging(client: MongoClient, database: string, log: OperationLog): Promise<void> {
  if (!STAGING_DATABASE.test(database)) return
  await client
    .db(database)
    .dropDatabase({ writeConcern: { w: 1 } })
    .catch((error: unknown) =>
      log.warning(`${database} is still there, and will be dropped later: ${errorText(error)}`),
    )
}

export interface OwnReplset {
  /** Direct connection to the mongod beside this agent. */
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly log: OperationLog
}

/**
 * Beside the primary of each replica set: drops what restores have left that were killed, and what a restore to a time within
 * one has brought back; nothing while one runs, for that may be at bringing it back. The databases are listed before the
 * locks: whoever makes one has its lock by then.
 */
export async function repairStaging({ node, leader, log }: OwnReplset): Promise<void> {
  if ((await hello(node)).isWritablePrimary !== true) return
  const { databases } = await node
    .db('admin')
    .command({ listDatabases: 1, nameOnly: true, filter: { name: STAGING_DATABASE } })
  const names = (databases as { name: string }[]).map(({ name }) => name)
  // Of a sharded cluster, where the routing tables were put together.
  const tables = await node.db('admin').listCollections({ name: ROUTING_TABLE }, { nameOnly: true }).toArray()
  if (names.length === 0 && tables.length === 0) return
  if ((await listLocks(leader)).some(({ type }) => MAKERS.has(type))) return
  for (const { name } of tables) await node.db('admin').dropCollection(name, { writeConcern: { w: 1 } })
  for (const name of names) {
    await node.db(name).dropDatabase({ writeConcern: { w: 1 } })
    log.info(`dropped ${name}, which a restore had left`)
  }
}
