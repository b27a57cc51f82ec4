import { findString } from '../../bson/elements.js'
import { databaseOf } from '../../oplog/entry.js'
import { findUuid } from '../../oplog/raw-fields.js'
import { damaged } from '../data/stored-objects.js'
import { isDatabaseName } from '../verify/namespaces.js'

/** Where the routing of these lies, and who may see what, is the target's own. */
const SERVER_DATABASES: ReadonlySet<string> = new Set(['admin', 'config', 'local'])

/** The database of a document of `config.databases`. Throws BACKUP_DAMAGED where no cluster has such a one. */
export function routedDatabase(document: Buffer): string {
  const db = findString(document, '_id')
  if (db !== undefined && isDatabaseName(db) && !SERVER_DATABASES.has(db)) return db
  throw damaged(`The routing tables of the backup are not right: ${JSON.stringify(db ?? null)} is no database of users`)
}

/**
 * Refuses a collection that no restore of these databases may touch: it would take the chunks of one that stays. `target`: UUID
 * (32 hex digits) → namespace, of what is sharded there. Throws BACKUP_DAMAGED.
 */
export function refuseForeignCollection(
  collection: Buffer,
  databases: ReadonlySet<string>,
  target: ReadonlyMap<string, string>,
): void {
  const ns = findString(collection, '_id') ?? ''
  const shown = JSON.stringify(ns)
  if (!databases.has(databaseOf(ns)))
    throw damaged(`The routing tables of the backup are not right: ${shown} is in none of their databases`)
  const other = target.get(findUuid(collection, 'uuid')?.toString('hex') ?? '')
  if (other === undefined || databases.has(databaseOf(other))) return
  throw damaged(`The routing tables of the backup are not right: ${shown} has the UUID that ${other} has here`)
}
