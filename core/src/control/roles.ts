/** What the users of pbmkit may do in the database. Plain data: the documents, `pbm setup-roles` and the tests use it. */

/**
 * What a privilege is about, as `createRole` takes it. '' stands for every database, and for every collection that is not
 * a system collection; the databases `config` and `local` have to be named.
 */
export type Resource =
  | { readonly db: string; readonly collection: string }
  | { readonly system_buckets: string }
  | { readonly anyResource: true }
  | { readonly cluster: true }

export interface Privilege {
  readonly resource: Resource
  readonly actions: readonly string[]
}

/** A role in `admin`, on every replica set. */
export interface DatabaseRole {
  readonly name: string
  readonly privileges: readonly Privilege[]
  readonly roles: readonly string[]
}

/** `agent`: backs up and restores. */
export type RoleKind = 'backup-agent' | 'agent' | 'operator' | 'viewer'

const on = (db: string, collection: string): Resource => ({ db, collection })
const CLUSTER: Resource = { cluster: true }
const ANY: Resource = on('', '')
const BUCKETS: Resource = { system_buckets: '' }

const BACKUP_AGENT: Privilege[] = [
  {
    resource: CLUSTER,
    actions: ['appendOplogNote', 'getParameter', 'listDatabases', 'replSetGetConfig', 'replSetGetStatus', 'useUUID'],
  },
  {
    resource: on('admin', ''),
    actions: [
      'convertToCapped',
      'createCollection',
      'createIndex',
      'dropCollection',
      'find',
      'insert',
      'remove',
      'update',
    ],
  },
  { resource: { anyResource: true }, actions: ['collStats', 'listCollections', 'listIndexes'] },
  { resource: ANY, actions: ['find'] },
  { resource: BUCKETS, actions: ['find'] },
  { resource: on('config', ''), actions: ['find'] },
  { resource: on('local', 'oplog.rs'), actions: ['find'] },
  { resource: on('', 'system.js'), actions: ['find'] },
  { resource: on('admin', 'system.users'), actions: ['find'] },
  { resource: on('admin', 'system.roles'), actions: ['find'] },
  { resource: on('admin', 'system.version'), actions: ['find'] },
]

const WRITE = ['insert', 'update', 'remove']
const RESTORE_AGENT: Privilege[] = [
  { resource: CLUSTER, actions: ['applyOps', 'forceUUID', 'setParameter'] },
  {
    resource: ANY,
    actions: [
      'bypassDocumentValidation',
      'collMod',
      'convertToCapped',
      'createCollection',
      'createIndex',
      'dropCollection',
      'dropDatabase',
      'dropIndex',
      ...WRITE,
    ],
  },
  {
    resource: BUCKETS,
    actions: ['bypassDocumentValidation', 'createCollection', 'createIndex', 'dropCollection', ...WRITE],
  },
  {
    resource: on('', 'system.js'),
    actions: ['bypassDocumentValidation', 'createCollection', 'createIndex', 'dropCollection', ...WRITE],
  },
  { resource: on('admin', 'system.users'), actions: ['bypassDocumentValidation', ...WRITE] },
  { resource: on('admin', 'system.roles'), actions: ['bypassDocumentValidation', ...WRITE] },
]

export function databaseRole(_kind: RoleKind, options: { readonly sharded?: boolean } = {}): DatabaseRole {
  return {
    name: 'pbmkitAgent',
    roles: [],
    privileges: [
      ...BACKUP_AGENT,
      ...RESTORE_AGENT,
      ...(options.sharded === true
        ? [
            { resource: CLUSTER, actions: ['internal', 'flushRouterConfig'] },
            { resource: on('config', ''), actions: [...WRITE, 'bypassDocumentValidation'] },
          ]
        : []),
    ],
  }
}
