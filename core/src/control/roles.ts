import {
  AGENTS,
  BACKUPS,
  COMMANDS,
  CONFIG,
  LOCKS,
  LOG,
  OPERATIONS,
  PITR,
  PITR_CHUNKS,
  RESTORES,
  SLICER_LOCKS,
} from '../mongo/control-names.js'

/**
 * What a privilege is about, as `createRole` takes it. '' stands for every database, and for every collection that is not
 * a system collection; `config` and `local` have to be named.
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

/** A role in `admin`, on every replica set. It has no role of the server: those can do more from version to version. */
export interface DatabaseRole {
  readonly name: string
  readonly privileges: readonly Privilege[]
  readonly roles: readonly string[]
}

/** The users of pbmkit. `agent` backs up and restores; `operator` and `viewer` are people with the command line. */
export const ROLE_KINDS = ['agent', 'backup-agent', 'operator', 'viewer'] as const
export type RoleKind = (typeof ROLE_KINDS)[number]

export interface RoleOptions {
  /** The replica set is part of a sharded cluster. Default false. */
  readonly sharded?: boolean
  /** Agents make physical backups, and restore them. Default false. */
  readonly physical?: boolean
  /** Of the server, such as `4.4.2`: the role has nothing that this server does not know. Default: 5.0. */
  readonly version?: string
}

/** Actions and kinds of resources that servers before a major version do not know, and refuse in a role. */
export const KNOWN_SINCE: Readonly<Record<string, number>> = {
  applyOps: 5,
  system_buckets: 5,
  // Asked for by shards from 8.0 on, of everybody who does not come through a mongos.
  issueDirectShardOperations: 8,
}

const CLUSTER: Resource = { cluster: true }
const EVERY_COLLECTION: Resource = { db: '', collection: '' }
const BUCKETS: Resource = { system_buckets: '' }
const CONTROL: readonly string[] = [
  ...[AGENTS, BACKUPS, COMMANDS, CONFIG, LOCKS, LOG, OPERATIONS, PITR, PITR_CHUNKS, RESTORES, SLICER_LOCKS],
]

/** The end-to-end tests run with these and nothing else. */
const VIEWER: readonly Privilege[] = [
  { resource: CLUSTER, actions: ['getParameter', 'replSetGetConfig', 'replSetGetStatus'] },
  ...CONTROL.map((collection) => privilege('admin', collection, 'find')),
  privilege('admin', 'system.version', 'find'),
  privilege('config', 'settings', 'find'),
  privilege('config', 'shards', 'find'),
]

const OPERATOR: readonly Privilege[] = [
  // Where somebody dropped it, the command line makes it anew.
  privilege('admin', COMMANDS, 'convertToCapped', 'createCollection', 'insert'),
  privilege('admin', CONFIG, 'insert', 'update'),
  // Says that the files of an external backup are copied.
  privilege('admin', BACKUPS, 'update'),
  privilege('admin', PITR, 'update'),
]

const CREATE = ['createCollection', 'createIndex', 'dropCollection'] as const

const BACKUP_AGENT: readonly Privilege[] = [
  {
    resource: CLUSTER,
    actions: ['appendOplogNote', 'getParameter', 'listDatabases', 'replSetGetConfig', 'replSetGetStatus', 'useUUID'],
  },
  { resource: { anyResource: true }, actions: ['collStats', 'listCollections', 'listIndexes'] },
  { resource: EVERY_COLLECTION, actions: ['find'] },
  { resource: BUCKETS, actions: ['find'] },
  privilege('', 'system.js', 'find'),
  // The control collections, and a restore's own.
  privilege('admin', '', ...CREATE, 'convertToCapped', 'insert', 'remove', 'update'),
  privilege('admin', 'system.roles', 'find'),
  privilege('admin', 'system.users', 'find'),
  privilege('admin', 'system.version', 'find'),
  privilege('config', '', 'find'),
  privilege('local', 'oplog.rs', 'find'),
]

const WRITE = ['bypassDocumentValidation', 'insert', 'remove', 'update'] as const

const RESTORE: readonly Privilege[] = [
  { resource: CLUSTER, actions: ['applyOps', 'forceUUID', 'setParameter'] },
  {
    resource: EVERY_COLLECTION,
    // `viewUser`: who is in use keeps the roles that they have.
    actions: [...WRITE, ...CREATE, 'collMod', 'convertToCapped', 'dropDatabase', 'dropIndex', 'viewUser'],
  },
  { resource: BUCKETS, actions: [...WRITE, ...CREATE] },
  privilege('', 'system.js', ...WRITE, ...CREATE),
  // A replay makes and changes views in the collection that defines them.
  privilege('', 'system.views', ...WRITE, ...CREATE),
  privilege('admin', 'system.roles', ...WRITE),
  privilege('admin', 'system.users', ...WRITE),
]

/** `inprog` shows who else holds a lock, and what a lock would wait for. */
const PHYSICAL_BACKUP: readonly Privilege[] = [
  { resource: CLUSTER, actions: ['fsync', 'getCmdLineOpts', 'inprog', 'unlock'] },
]
const PHYSICAL_RESTORE: readonly Privilege[] = [{ resource: CLUSTER, actions: ['shutdown'] }]

/** `internal` is what the servers' own commands need: to stop the balancer for a backup, to drop databases of shards. */
const SHARDED_BACKUP: readonly Privilege[] = [
  { resource: CLUSTER, actions: ['internal', 'issueDirectShardOperations'] },
  // What a shard is changing as the backup ends.
  privilege('config', 'system.sharding_ddl_coordinators', 'find'),
]
const SHARDED_RESTORE: readonly Privilege[] = [
  { resource: CLUSTER, actions: ['flushRouterConfig'] },
  privilege('config', '', ...WRITE),
]

/** The least that each user needs. */
export function databaseRole(kind: RoleKind, options: RoleOptions = {}): DatabaseRole {
  const whole = wholeRole(kind, options)
  const major = Number.parseInt(options.version ?? '5.0', 10)
  const isKnown = (name: string) => (KNOWN_SINCE[name] ?? 0) <= major
  const privileges = whole.privileges
    .filter(({ resource }) => Object.keys(resource).every(isKnown))
    .map(({ resource, actions }) => ({ resource, actions: actions.filter(isKnown) }))
  return { ...whole, privileges }
}

function wholeRole(kind: RoleKind, { sharded = false, physical = false }: RoleOptions): DatabaseRole {
  const backups = physical ? PHYSICAL_BACKUP : []
  const restores = physical ? PHYSICAL_RESTORE : []
  switch (kind) {
    case 'viewer':
      return role('pbmkitViewer', VIEWER)
    case 'operator':
      return role('pbmkitOperator', VIEWER, OPERATOR)
    case 'backup-agent':
      return role('pbmkitBackupAgent', BACKUP_AGENT, sharded ? SHARDED_BACKUP : [], backups)
    case 'agent':
      return role(
        'pbmkitAgent',
        ...[BACKUP_AGENT, RESTORE, backups, restores],
        ...(sharded ? [SHARDED_BACKUP, SHARDED_RESTORE] : []),
      )
  }
}

function privilege(db: string, collection: string, ...actions: string[]): Privilege {
  return { resource: { db, collection }, actions }
}

/** Each resource once, as the server lists them too. */
function role(name: string, ...lists: (readonly Privilege[])[]): DatabaseRole {
  const merged = new Map<string, { resource: Resource; actions: Set<string> }>()
  for (const { resource, actions } of lists.flat()) {
    const known = merged.get(JSON.stringify(resource)) ?? { resource, actions: new Set() }
    for (const action of actions) known.actions.add(action)
    merged.set(JSON.stringify(resource), known)
  }
  const privileges = [...merged.values()].map(({ resource, actions }) => ({ resource, actions: [...actions].sort() }))
  return { name, privileges, roles: [] }
}
