import type { Document, Timestamp } from 'bson'
import type { Condition, Progress } from './backup-document.js'
import type { NamespacePair } from './renaming.js'

/** One restore or replay in `pbmRestores` (PBM: control-plane.md §1.4). Times are Unix seconds. */
export interface RestoreDocument {
  status: RestoreStatus
  /** RFC 3339 UTC with nanoseconds. */
  name: string
  opid: string
  /** The backup restored; '' for a replay. */
  backup: string
  type: 'logical' | 'physical' | 'incremental' | 'external'
  error?: string
  bcp_chain: string[] | null
  nss?: string[]
  start_pitr: number
  pitr: number
  start_ts: number
  last_transition_ts: number
  replsets: RestoreReplset[]
  hb: Timestamp
  conditions: Condition[]
  l?: string
  stat?: Document
  /** Ours; PBM ignores it: how a part of the data is restored. */
  selection?: RestoreSelection
  /** Ours; PBM ignores it: what it has switched off and would switch on again if it ended with nothing changed. */
  suspended?: ('pitr' | 'balancer')[]
}

export interface RestoreSelection {
  usersAndRoles: boolean
  /** What goes to another place, and where. */
  pairs?: NamespacePair[]
  /** What is missing is put back, and what is there stays as it is. */
  keepExisting?: boolean
  /** Extended JSON: only the documents that match. */
  query?: string
}

/** What a restore makes where nothing was, so that nobody takes what is somebody else's for it. */
export interface MadeNamespace {
  /** A collection, the buckets of a time series, or a view. */
  ns: string
  /** 32 hex digits; of a view, the SHA-256 of its definition in hex. */
  id: string
  /** At the place of the live one: others may have written into it since. It is finished, not dropped. */
  stays?: true
}

/** What became of the documents that were put where others may be. */
export interface MergedNamespace {
  ns: string
  inserted: number
  /** Their `_id` was there. */
  existing: number
  /** Left out, for they break a unique index. */
  conflicts: number
  /** The first of these: `id` is Extended JSON. */
  left_out: { id: string; index: string }[]
}

export type RestoreStatus =
  | 'starting'
  | 'cleanupCluster'
  | 'running'
  | 'dumpDone'
  | 'down'
  | 'copyReady'
  | 'copyDone'
  | 'partlyDone'
  | 'done'
  | 'error'

export interface RestoreReplset {
  name: string
  status: RestoreStatus
  start_ts: number
  last_transition_ts: number
  committed_txn: { id: string; ts: Timestamp; state: string }[] | null
  txn_set: boolean
  partial_txn: Document[] | null
  op: Timestamp
  last_write_ts: Timestamp
  hb: Timestamp
  error?: string
  conditions: Condition[]
  stat?: { txn: { partial: number; shard_uncommitted: number; left_uncommitted: number }; d: Document | null }
  /** Ours; PBM ignores it: ids of transactions that wait for what other shards have decided. */
  open_txn?: string[]
  /** Ours; PBM ignores it: `node` deletes no expired documents now, and is to do so again when it ends. */
  ttl_monitor_off?: boolean
  /** Ours; PBM ignores it: indexes that the target does not take, each with its definition and the reason. */
  unbuilt_indexes?: string[]
  /** Ours; PBM ignores it. */
  node?: string
  /** Of a physical restore: its members. */
  nodes?: { name: string; status: RestoreStatus; last_transition_ts: number; conditions: Condition[] }[]
  /** Ours; PBM ignores it: the id that the restored replica set gets, 24 hex digits. */
  identity?: string
  /** Ours; PBM ignores it. */
  progress?: Progress
  /** Ours; PBM ignores it: where a part of a sharded cluster is restored, until it is. */
  chosen?: ChosenThere
  /** Ours; PBM ignores it: its part of the selection is there, and waits to be routed. */
  loaded?: boolean
  /** Ours; PBM ignores it. */
  merged?: MergedNamespace[]
  /** Ours; PBM ignores it: what it makes beside the live ones, until all of it is there. */
  made?: MadeNamespace[]
  /** Ours; PBM ignores it: who becomes an administrator by this restore. Absent where nobody does. */
  gained_roles?: GainedRoles[]
}

/** What a replica set has of the selection at the restored time. */
export interface ChosenThere {
  /** By the names that users know. */
  names: string[]
  /** Entries of the selection that it had, and what became of them. */
  gone: { entry: string; gone?: string }[]
  /** Names that may be meant where an entry is missing. */
  near: string[]
  /** What the cluster has of the selection now, as its primary shard here knows; where that is to stay. */
  existing?: ExistingNamespace[]
  /** Of the config servers. */
  routing?: ChosenRoutes
}

/** What there is in a sharded cluster before a restore. */
export interface ExistingNamespace {
  ns: string
  type: 'collection' | 'view' | 'timeseries'
  capped?: true
  /** A restore that failed has made it, so it may lack indexes. */
  unfinished?: true
}

export interface ChosenRoutes {
  /** Each database and the replica set of its primary shard; '' where the cluster does not have that. */
  primaries: { db: string; primary: string }[]
  sharded: string[]
  /** Each sharded time series with each replica set that must have a part of it. */
  series?: { ns: string; rs: string }[]
  /** What is sharded of the selection now; where that is to stay. */
  existing?: ExistingNamespace[]
}

export interface GainedRoles {
  /** `db.name`. */
  user: string
  /** `role@db`. */
  roles: string[]
}

export function isTimeAsked(target: Timestamp | undefined): target is Timestamp {
  return target !== undefined && target.getHighBitsUnsigned() > 1
}
