import { isControlCollection } from '../../mongo/control-names.js'
import { isBuckets, userName } from '../../mongo/time-series.js'
import { collectionOf, databaseOf } from '../entry.js'
import { isReshardingCopy } from './barriers.js'

const VIEWS = 'system.views'
const USERS = 'system.users'
const ROLES = 'system.roles'
/** All other system collections of `admin` say what the target is and who its members trust. */
const RESTORED_OF_ADMIN = new Set([USERS, ROLES, VIEWS, 'system.js'])

/**
 * Whether a restore and a replay leave the namespace alone: control collections, what is the identity of the target
 * (`admin.system.version`, keys), and what each server keeps for itself (PBM: archive-and-oplog.md §2, §4.1).
 */
export function isExcluded(ns: string): boolean {
  const db = databaseOf(ns)
  if (db === 'local' || db === 'config' || db.startsWith('__mdb_internal')) return true
  const collection = collectionOf(ns)
  if (collection === 'system.profile' || isReshardingCopy(ns)) return true
  if (db !== 'admin') return false
  // The buckets are the time series of that name.
  const name = collectionOf(userName(ns))
  if (isControlCollection(name)) return true
  return name.startsWith('system.') && (name !== collection || !RESTORED_OF_ADMIN.has(name))
}

/** Users and roles: restored document by document into the collections the target has. */
export function isUsersOrRoles(ns: string): boolean {
  return ns === `admin.${USERS}` || ns === `admin.${ROLES}`
}

/** The collection whose documents are the views of its database. */
export function isViews(ns: string): boolean {
  return collectionOf(ns) === VIEWS
}

/** Collections that the target has under a UUID of its own, so that only their name says which one is meant. */
export function isKnownByName(ns: string): boolean {
  return isUsersOrRoles(ns) || isViews(ns) || isBuckets(ns)
}
