import type { Timestamp } from 'bson'
import type { DrilledReplset } from './drill-document.js'
import type { VerifiedBackup } from './verification-document.js'

/** One backup in `pbmBackups`, field for field as PBM has it (PBM: control-plane.md §1.4). Times are Unix seconds. */
export interface BackupDocument {
  type: 'logical' | 'physical' | 'incremental' | 'external'
  /** The command's `_id`, 24 hex digits. */
  opid: string
  /** RFC 3339 UTC at seconds: also the folder on the storage. */
  name: string
  src_backup?: string
  /** Replica set → shard id, only where they differ. */
  shardRemap?: Record<string, string>
  /** Absent for a full backup. */
  nss?: string[]
  sel_users_and_roles?: boolean
  replsets: BackupReplset[]
  compression: string
  store: BackupStore
  /** Stored bytes: compressed namespaces plus the uncompressed oplog, as PBM counts. */
  size: number
  size_uncompressed: number
  mongodb_version: string
  fcv: string
  start_ts: number
  last_transition_ts: number
  /** `Timestamp(1,1)` as long as it is unset (PBM: control-plane.md §1.2). */
  first_write_ts: Timestamp
  last_write_ts: Timestamp
  /** Cluster time of the backup leader's last heartbeat. */
  hb: Timestamp
  status: BackupStatus
  conditions: Condition[]
  /** Nominations. */
  n: Nomination[]
  error?: string
  pbm_version: string
  balancer: 'full' | 'off'
  /** Ours; PBM ignores it: the backup has stopped the balancer, and nobody has started it again yet. */
  balancer_stopped?: boolean
  /**
   * Ours; PBM ignores it, and no record on a storage has it: an agent of this cluster began the backup, and found nothing
   * of its name on the storage. Only then is what a failed one left deleted.
   */
  began_here?: boolean
  /** Ours: its leader has written a mark on the storage, which every agent is to look for. */
  marked?: boolean
  /** Ours; PBM ignores it: `archive` where each replica set is one mongodump archive. */
  layout?: 'archive'
  /** Ours; PBM ignores it: what the record on the storage is authenticated with, see `signedText`. */
  signature?: string
  /** Ours; PBM ignores it, and no record on a storage has it: what came of the last `pbm verify`. */
  verification?: VerifiedBackup
  /** The same of `pbm drill`: the last of each replica set. */
  drills?: DrilledReplset[]
}

export type BackupStatus =
  | 'starting'
  | 'running'
  | 'dumpDone'
  | 'copyReady'
  | 'copyDone'
  | 'partlyDone'
  | 'done'
  | 'canceled'
  | 'error'

export interface Condition {
  timestamp: number
  status: string
  error?: string
}

export interface Nomination {
  rs: string
  /** `host:port` of the nominees asked so far; replaced group by group. */
  n: string[]
  /** The nominee that took the lock, or ''. */
  ack: string
}

export interface BackupStore {
  name?: string
  profile?: true
  type: string
  [provider: string]: unknown
}

export interface BackupReplset {
  name: string
  node: string
  status: BackupStatus
  /** `backup_name` in the JSON on the storage. */
  dump_name?: string
  oplog_name?: string
  start_ts: number
  last_transition_ts: number
  size: number
  size_uncompressed: number
  first_write_ts: Timestamp
  last_write_ts: Timestamp
  iscs?: boolean
  configshard?: boolean
  error?: string
  conditions: Condition[]
  mongod_opts?: Record<string, unknown>
  pbm_version?: string
  mongo_version?: string
  /** Physical backups before PBM 2.4.1: the file list, elements as in `filelist.pbm`. `journal` is older still. */
  files?: Record<string, unknown>[]
  journal?: Record<string, unknown>[]
  /** Physical: name of the backup cursor, where a retry changed it. */
  this_id?: string
  /** Ours; PBM ignores it, and no record on a storage has it. External: when the lock ends at the latest, in Unix seconds. */
  locked_until?: number
  /** Ours; PBM ignores it. */
  progress?: Progress
  /** Ours; PBM ignores it: what came of storing the data. */
  transfer?: Transfer
  /** Ours; PBM ignores it: the stored pieces of oplog. Absent while it runs, and where PBM made it. */
  oplog_objects?: BackupOplogObject[]
  /**
   * Ours; PBM ignores it: the objects that no list has, above all the lists, which have the others. Absent while it runs,
   * and where PBM made it.
   */
  objects?: StoredObject[]
  /** Ours; PBM ignores it: how the objects are sealed. Absent where they are not. */
  encryption?: BackupEncryption
  /** Ours; PBM ignores it: what shards were at different steps of after the dump. Absent where there was nothing. */
  half_done?: HalfDone[]
}

/** An operation on a sharded collection. */
export interface HalfDone {
  /** Words for a message: `renameCollection of shop.orders`. */
  what: string
  /** Absent where it had begun before the end of the dump. */
  from?: Timestamp
  /** Absent where it had not ended. */
  to?: Timestamp
}

export interface BackupOplogObject {
  /** Of the object on the storage. */
  name: string
  /** CRC-64/XZ of the entries, uncompressed: 16 hexadecimal digits. */
  crc: string
  /** The same of the object, before it was sealed. Absent in backups of earlier versions. */
  storedCrc?: string
}

/** An object as it was given to the storage. */
export interface StoredObject {
  readonly name: string
  /** Bytes; before they were sealed. */
  readonly size: number
  /** CRC-64/XZ of these bytes: 16 hexadecimal digits. */
  readonly crc: string
}

/** What the agent that did the work sent to the storage. */
export interface Transfer {
  objects: number
  /** Stored, the oplog too, and what was sent again counted once. */
  bytes: number
  /** During which something was being stored. */
  millis: number
  /** Calls of the storage that failed and were tried again. */
  retries: number
}

/** How one replica set's part of a backup is sealed; nothing in it is secret. */
export interface BackupEncryption {
  /** Name of the method. */
  type: string
  /** Ids of the keys, any of which opens it. */
  keyIds: string[]
  /** How many namespaces have an object; their names are sealed. Absent while it runs. */
  objects?: number
}

/** What an agent tells of a running operation, for progress bars. PBM ignores the field. */
export interface Progress {
  /** A word for people: `verify`, `collections`, `users and roles`, `oplog`, `indexes`. */
  phase: string
  /** Uncompressed BSON bytes. `total` is an estimate and 0 where unknown. */
  bytes: number
  totalBytes: number
  documents: number
  totalDocuments: number
  /** Milliseconds since the epoch by the agent's clock, when the operation and when this phase began and when told. */
  startedAt: number
  updatedAt: number
}
