import { CONTROL_COLLECTIONS, ROLES_COPY, STAGING_PREFIX, USERS_COPY } from '../../mongo/control-names.js'
import { collectionOf, databaseOf } from '../entry.js'

const CONTROL = new Set([...CONTROL_COLLECTIONS, USERS_COPY, ROLES_COPY])

/**
 * Whether a restore and a replay leave the namespace alone: control collections, what is the identity of the target
 * (`admin.system.version`, keys), and what each server keeps for itself (PBM: archive-and-oplog.md §2, §4.1).
 */
export function isExcluded(ns: string): boolean {
  const db = databaseOf(ns)
  if (db === 'local' || db === 'config' || db.startsWith('__mdb_internal')) return true
  const collection = collectionOf(ns)
  if (collection === 'system.profile') return true
  if (db !== 'admin') return false
  if (collection.startsWith(STAGING_PREFIX)) return true
  return CONTROL.has(collection) || collection === 'system.version' || collection === 'system.keys'
}

/** Users and roles: restored document by document into the collections the target has. */
export function isUsersOrRoles(ns: string): boolean {
  return ns === 'admin.system.users' || ns === 'admin.system.roles'
}

/** Collections that the target has under a UUID of its own, so that only their name says which one is meant. */
export function isKnownByName(ns: string): boolean {
  return isUsersOrRoles(ns) || ns.endsWith('.system.views') || ns.includes('.system.buckets.')
}
