import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { CONTROL_INDEXES } from '../../control/setup.js'
import { PbmError } from '../../errors.js'
import { ROLES_COPY, USERS_COPY } from '../../mongo/control-names.js'
import { Applier } from '../../oplog/replay/apply.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { damaged } from './stored-objects.js'

/** `_id`s (`db.name`) that a restore leaves as they are: the users in use and their roles. */
export interface Kept {
  readonly users: ReadonlySet<string>
  readonly roles: ReadonlySet<string>
}

/** Users and roles of a backup; undefined where it does not have them, which is not the same as none. */
export interface StoredUsersAndRoles {
  users: Buffer[] | undefined
  roles: Buffer[] | undefined
}

type Kind = keyof StoredUsersAndRoles

/**
 * Which of the two a namespace holds, and whether it is the copy made for the restore, which goes before the system
 * collection dumped beside it (PBM: storage-format.md §3).
 */
export function usersOrRoles({
  db,
  collection,
}: {
  db: string
  collection: string
}): { kind: Kind; copy: boolean } | undefined {
  if (db !== 'admin') return undefined
  if (collection === USERS_COPY) return { kind: 'users', copy: true }
  if (collection === ROLES_COPY) return { kind: 'roles', copy: true }
  if (collection === 'system.users') return { kind: 'users', copy: false }
  if (collection === 'system.roles') return { kind: 'roles', copy: false }
  return undefined
}

/** What the backup lists, before any document is read: empty lists have no object. */
export function listedUsersAndRoles(namespaces: readonly NamespaceMetadata[]): StoredUsersAndRoles {
  const kinds = new Set(namespaces.map((namespace) => usersOrRoles(namespace)?.kind))
  return { users: kinds.has('users') ? [] : undefined, roles: kinds.has('roles') ? [] : undefined }
}

/** Whether these documents are the ones to be restored: the copies, or the system collection where there is no copy. */
export function isChosen(namespace: NamespaceMetadata, namespaces: readonly NamespaceMetadata[]): boolean {
  const own = usersOrRoles(namespace)
  if (own === undefined) return false
  return own.copy || !namespaces.some((other) => usersOrRoles(other)?.kind === own.kind && usersOrRoles(other)?.copy)
}

/** They are held in memory; a hundred thousand users have about so much. */
const MAX_BYTES = 64 * 1024 * 1024
const MAX_DOCUMENTS = 500_000

/** Before anything is dropped: throws `OBJECT_TOO_LARGE` for more of them than a restore takes. */
export function refuseTooMany(namespaces: readonly NamespaceMetadata[]): void {
  for (const namespace of namespaces) {
    if (usersOrRoles(namespace) !== undefined && namespace.size > MAX_BYTES) throw tooMany(namespace)
  }
}

/** All documents of users or roles. Throws `OBJECT_TOO_LARGE`. */
export async function collectDocuments(
  namespace: Pick<NamespaceMetadata, 'db' | 'collection'>,
  source: AsyncIterable<Uint8Array>,
): Promise<Buffer[]> {
  const documents: Buffer[] = []
  let bytes = 0
  for await (const whole of wholeDocuments(source)) {
    bytes += whole.length
    if (bytes > MAX_BYTES) throw tooMany(namespace)
    for (const document of documentsIn(whole)) {
      if (documents.length >= MAX_DOCUMENTS) throw tooMany(namespace)
      if (findString(document, '_id') === undefined) {
        throw damaged(`${namespace.db}.${namespace.collection} has a document whose _id is no name`)
      }
      documents.push(Buffer.from(document))
    }
  }
  return documents
}

function tooMany({ db, collection }: Pick<NamespaceMetadata, 'db' | 'collection'>): PbmError {
  const limit = `${MAX_DOCUMENTS} documents or ${MAX_BYTES / 1024 / 1024} MiB`
  return new PbmError('OBJECT_TOO_LARGE', `The backup has in ${db}.${collection} more than ${limit}`, {
    hint: 'So many users or roles are not restored: the backup is damaged, or somebody has changed it.',
  })
}

/** Whom this connection is logged in as. Empty without authentication. */
export async function connectedUser(client: MongoClient): Promise<Kept> {
  const { authInfo } = await client.db('admin').command({ connectionStatus: 1 })
  const users = (authInfo?.authenticatedUsers ?? []) as { user: string; db: string }[]
  const roles = (authInfo?.authenticatedUserRoles ?? []) as { role: string; db: string }[]
  return {
    users: new Set(users.map(({ user, db }) => `${db}.${user}`)),
    roles: new Set(roles.map(({ role, db }) => `${db}.${role}`)),
  }
}

/**
 * Makes the target's users and roles those of the backup, raw documents and all: written over those of the same name
 * first, then the others removed, so that at no moment nobody is left. Roles come before the users that have them. With
 * `databases`, those of others stay as they are.
 */
export async function restoreUsersAndRoles(
  client: MongoClient,
  stored: StoredUsersAndRoles,
  kept: Kept,
  guard: DeadlineGuard,
  databases?: ReadonlySet<string>,
): Promise<void> {
  await replaceAll(client, 'system.roles', stored.roles, { kept: kept.roles, guard, databases })
  await replaceAll(client, 'system.users', stored.users, { kept: kept.users, guard, databases })
}

interface Replacing {
  readonly kept: ReadonlySet<string>
  readonly guard: DeadlineGuard
  readonly databases: ReadonlySet<string> | undefined
}

async function replaceAll(
  client: MongoClient,
  collection: 'system.users' | 'system.roles',
  listed: readonly Buffer[] | undefined,
  { kept, guard, databases }: Replacing,
): Promise<void> {
  if (listed === undefined) return
  const isMeant = (document: Buffer) => databases?.has(findString(document, 'db') ?? '') ?? true
  const documents = listed.filter(isMeant)
  const admin = client.db('admin')
  if (documents.length > 0) await ensureCollection(client, collection)
  const applier = new Applier(client, { guard })
  const ids: string[] = [...kept]
  for (const document of documents) {
    const id = findString(document, '_id') ?? ''
    if (kept.has(id)) continue
    ids.push(id)
    await applier.change({ op: 'i', ns: `admin.${collection}`, ui: undefined, o: document, o2: undefined }, true)
  }
  await applier.flush()
  await admin.collection<{ _id: string }>(collection).deleteMany({
    _id: { $nin: ids },
    ...(databases === undefined ? {} : { db: { $in: [...databases] } }),
  })
}

/** A server that never had a user has neither collection nor its unique index. */
export async function ensureCollection(
  client: MongoClient,
  collection: 'system.users' | 'system.roles',
): Promise<void> {
  const admin = client.db('admin')
  if ((await admin.listCollections({ name: collection }, { nameOnly: true }).toArray()).length > 0) return
  const field = collection === 'system.users' ? 'user' : 'role'
  await admin
    .collection(collection)
    .createIndex({ [field]: 1, db: 1 }, { name: `${field}_1_db_1`, unique: true, ...CONTROL_INDEXES })
}
