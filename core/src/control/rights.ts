import type { Document, MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'
import { databaseRole, type Privilege, type Resource, type RoleKind, type RoleOptions } from './roles.js'

/** Rights that a user does not have. */
export interface MissingRights {
  /** `user@database`. */
  readonly user: string
  readonly role: string
  readonly missing: readonly Privilege[]
  /** They were looked for with those of physical backups. */
  readonly isPhysical?: boolean
}

/** What the user of this connection lacks of a role; undefined when nothing, and where the server knows no users. */
export async function missingRights(
  client: MongoClient,
  kind: RoleKind,
  options: RoleOptions = {},
): Promise<MissingRights | undefined> {
  const status = await client
    .db('admin')
    .command({ connectionStatus: 1, showPrivileges: true }, { readPreference: 'primaryPreferred' })
  return judgeRights(status.authInfo as Document, kind, options)
}

/** The same of what `connectionStatus` told. */
export function judgeRights(authInfo: Document, kind: RoleKind, options: RoleOptions = {}): MissingRights | undefined {
  const users = authInfo.authenticatedUsers as { user: string; db: string }[]
  // Without access control everybody may do everything.
  if (users.length === 0) return undefined
  const held = (authInfo.authenticatedUserPrivileges ?? []) as { resource: Document; actions: string[] }[]
  const { name, privileges } = databaseRole(kind, options)
  const missing = privileges.flatMap(({ resource, actions }) => {
    const had = held.filter((one) => covers(one.resource, resource)).flatMap((one) => one.actions)
    const lacking = had.includes('anyAction') ? [] : actions.filter((action) => !had.includes(action))
    return lacking.length === 0 ? [] : [{ resource, actions: lacking }]
  })
  if (missing.length === 0) return undefined
  return {
    ...{ user: users.map(({ user, db }) => `${user}@${db}`).join(', '), role: name, missing },
    ...(options.physical === true && { isPhysical: true }),
  }
}

/** Rejects with RIGHTS_MISSING, which lists what lacks. */
export async function requireRights(client: MongoClient, kind: RoleKind, options: RoleOptions = {}): Promise<void> {
  const rights = await missingRights(client, kind, options)
  if (rights !== undefined) throw rightsMissing(rights)
}

export function rightsMissing({ user, role, missing, isPhysical }: MissingRights): PbmError {
  const flag = isPhysical === true ? ' --physical' : ''
  const list = missing.map(({ resource, actions }) => `${actions.join(', ')} on ${resourceText(resource)}`).join('; ')
  return new PbmError('RIGHTS_MISSING', `the database user ${user} lacks rights: ${list}`, {
    hint: `Give it the role ${role} on every replica set: pbm setup-roles${flag} prints it, with --create it makes it`,
  })
}

function resourceText(resource: Resource): string {
  if ('cluster' in resource) return 'the cluster'
  if ('anyResource' in resource) return 'any resource'
  if ('system_buckets' in resource) return 'the buckets of time series'
  const { db, collection } = resource
  if (db === '') return collection === '' ? 'every collection' : `${collection} of every database`
  return collection === '' ? `every collection of ${db}` : `${db}.${collection}`
}

/** Whether a privilege about `held` is one about `needed` too. */
function covers(held: Document, needed: Resource): boolean {
  if (held.anyResource === true) return true
  if ('anyResource' in needed) return false
  if ('cluster' in needed) return held.cluster === true
  if ('system_buckets' in needed) return held.system_buckets === '' && (held.db ?? '') === ''
  if (typeof held.db !== 'string' || typeof held.collection !== 'string') return false
  const { db, collection } = needed
  if (held.db === db && held.collection === collection) return true
  if (held.db === '' && held.collection !== '') return held.collection === collection
  if (held.collection !== '' || collection.startsWith('system.')) return false
  // The server takes "every database" to be every one but these.
  return held.db === db || (held.db === '' && db !== 'config' && db !== 'local')
}
