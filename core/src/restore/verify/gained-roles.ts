import { deserialize } from 'bson'
import type { MongoClient } from 'mongodb'
import type { GainedRoles } from '../../control/restore-document.js'
import type { CallOptions } from '../../plugin/storage.js'
import type { Snapshot } from '../data/snapshot.js'
import { collectDocuments, isChosen, type Kept, usersOrRoles } from '../data/users-and-roles.js'

interface RoleName {
  readonly role: string
  readonly db: string
}
interface User {
  readonly _id: string
  readonly roles?: readonly RoleName[]
}
interface Role extends User {
  readonly privileges?: readonly { readonly actions?: readonly string[] }[]
}
interface UsersAndRoles {
  readonly users: readonly User[]
  readonly roles: readonly Role[]
}

/** With these a user can give himself any other. */
const ANYWHERE: ReadonlySet<string> = new Set(['userAdmin', 'dbOwner'])
const OF_ADMIN: ReadonlySet<string> = new Set(['root', '__system', 'userAdminAnyDatabase', 'restore'])
const ACTIONS: ReadonlySet<string> = new Set(['anyAction', 'grantRole', 'createUser', 'changePassword', 'internal'])
/** More are not told. */
const MOST_TOLD = 100

/**
 * Users who would be administrators after the restore of a snapshot and are not now: whoever can write to the storage can put
 * one into it. Reads the users and roles of both; the oplog after the snapshot is not looked at.
 */
export async function gainedRoles(
  client: MongoClient,
  snapshot: Snapshot,
  kept: Kept,
  options: CallOptions,
): Promise<GainedRoles[]> {
  const stored = await storedUsersAndRoles(snapshot, options)
  if (stored === undefined) return []
  const admin = client.db('admin')
  const [users, roles] = await Promise.all(
    (['system.users', 'system.roles'] as const).map((name) =>
      admin
        .collection<Role>(name)
        .find({}, { projection: { roles: 1, privileges: 1 } })
        .toArray(),
    ),
  )
  return compareRoles({ users: users ?? [], roles: roles ?? [] }, stored).filter(({ user }) => !kept.users.has(user))
}

/** What administrative roles users have in `after` and not in `before`. Pure. */
export function compareRoles(before: UsersAndRoles, after: UsersAndRoles): GainedRoles[] {
  const had = administrators(before)
  return [...administrators(after)]
    .map(([user, roles]) => ({ user, roles: roles.filter((role) => had.get(user)?.includes(role) !== true) }))
    .filter(({ roles }) => roles.length > 0)
    .slice(0, MOST_TOLD)
}

async function storedUsersAndRoles(snapshot: Snapshot, options: CallOptions): Promise<UsersAndRoles | undefined> {
  const { namespaces } = snapshot
  if (!namespaces.some((namespace) => isChosen(namespace, namespaces))) return undefined
  const found: { users: User[]; roles: Role[] } = { users: [], roles: [] }
  await snapshot.readNamespaces(
    async (namespace, documents) => {
      const own = usersOrRoles(namespace)
      const raw = await collectDocuments(namespace, documents)
      if (own !== undefined) found[own.kind] = raw.map((document) => deserialize(document) as Role)
    },
    { ...options, width: 1, select: (namespace) => isChosen(namespace, namespaces) },
  )
  return found
}

/** User → the roles of his, as `role@db`, that make him an administrator. */
function administrators({ users, roles }: UsersAndRoles): Map<string, string[]> {
  const custom = administrativeRoles(roles)
  const isAdministrative = (name: RoleName) => isBuiltIn(name) || custom.has(idOf(name))
  return new Map(
    users.flatMap((user) => {
      const own = listOf(user.roles).filter(isAdministrative)
      return own.length === 0 ? [] : [[user._id, own.map(({ role, db }) => `${role}@${db}`)] as const]
    }),
  )
}

function isBuiltIn({ role, db }: RoleName): boolean {
  return ANYWHERE.has(role) || (db === 'admin' && OF_ADMIN.has(role))
}

/** The `_id`s of roles that allow such an action, and of all that have one of these, however deep. */
function administrativeRoles(roles: readonly Role[]): ReadonlySet<string> {
  const having = new Map<string, string[]>()
  const found: string[] = []
  for (const { _id, privileges, roles: inner } of roles) {
    const own = listOf(inner)
    for (const name of own) {
      const holders = having.get(idOf(name)) ?? []
      having.set(idOf(name), holders)
      holders.push(_id)
    }
    const allows = listOf(privileges).some(({ actions }) => listOf(actions).some((action) => ACTIONS.has(action)))
    if (allows || own.some(isBuiltIn)) found.push(_id)
  }
  const all = new Set<string>()
  for (let id = found.pop(); id !== undefined; id = found.pop()) {
    if (all.has(id)) continue
    all.add(id)
    found.push(...(having.get(id) ?? []))
  }
  return all
}

function idOf({ role, db }: RoleName): string {
  return `${db}.${role}`
}

/** What comes from a storage has any shape. */
function listOf<Item>(value: readonly Item[] | undefined): readonly Item[] {
  return Array.isArray(value) ? value.filter((item) => item !== null && item !== undefined) : []
}
