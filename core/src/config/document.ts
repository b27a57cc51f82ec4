import type { Timestamp } from 'bson'
import type { DrillCheck } from './drill-checks.js'
import type { NotificationConfig } from './notifications.js'
import type { ScheduleConfig } from './schedules.js'

/**
 * The main document of `admin.pbmConfig`, with PBM's keys (PBM: cli-and-config.md §3, control-plane.md §7). Keys that
 * are not here, from a newer PBM, stay in the object and in the collection.
 */
export interface Config {
  storage: StorageConfig
  pitr?: PitrConfig
  backup?: BackupConfig
  restore?: RestoreConfig
  encryption?: EncryptionConfig
  lifecycle?: LifecycleConfig
  /** Ours; PBM ignores it. */
  drill?: DrillConfig
  /** Ours, and in a document of its own: see `control/run-documents.ts`. Only where a file is read or shown. */
  schedules?: ScheduleConfig[]
  /** The same. */
  notifications?: NotificationConfig[]
  /** Cluster time of the last change; agents compare it to notice one. */
  epoch: Timestamp
}

/** The type, and the options of that storage under the plugin's name. */
export interface StorageConfig {
  type: string
  [provider: string]: unknown
}

/**
 * Ours; PBM ignores it. The method that new objects are sealed with, or `none`, and for each method that is in use or was
 * once, under its name, where its keys are: never a key.
 */
export interface EncryptionConfig {
  type: string
  [method: string]: unknown
}

/** `host:port` as the replica-set configuration has it → priority. */
export type Priority = Record<string, number>

export interface PitrConfig {
  enabled?: boolean
  /** Minutes; 10 when absent or 0. */
  oplogSpanMin?: number
  oplogOnly?: boolean
  priority?: Priority
  /** Falls back to the backup's. */
  compression?: string
  compressionLevel?: number
}

export interface BackupConfig {
  /** Minutes; falls back to that of pitr when absent or 0. */
  oplogSpanMin?: number
  priority?: Priority
  /** s2 when absent. */
  compression?: string
  compressionLevel?: number
  numParallelCollections?: number
  numParallelFiles?: number
  /** Seconds; 0 is the default. */
  timeouts?: { startingStatus?: number; balancerStop?: number }
  /** Ours: `archive` writes one mongodump archive per replica set. */
  layout?: 'pbm' | 'archive'
  /** Ours: how physical backups may lock a member. */
  physical?: PhysicalConfig
  /** Ours: bytes per second of all an agent's operations together; 0 is no limit. Restores and the slicer are under it. */
  throttle?: { upload?: number; download?: number }
}

export interface PhysicalConfig {
  /** Also on the primary, whose writes wait meanwhile. A member that is alone is always asked. False when absent. */
  allowPrimary?: boolean
  /** How long the files may be locked; 10 when absent. */
  maxLockSeconds?: number
  /** Locks for as long as copying takes where the file system can't clone. False when absent. */
  allowLongLock?: boolean
  /** How long a secondary may be locked for an external backup; 3600 when absent. */
  maxExternalLockSeconds?: number
}

/** What `pbm cleanup --lifecycle` keeps; of the main storage, and in a profile of the profile's (PBM: parity.md §6). */
export interface LifecycleConfig {
  /** False when absent: all stays. */
  enabled?: boolean
  /** `rolling` when absent: windows of 24 hours, 7 and 30 days back from now, in place of days, weeks and months in UTC. */
  strategy?: 'rolling' | 'calendar'
  /** Where fewer whole backups would stay, nothing is deleted. 1 when absent. */
  minKeep?: number
  /** Failed and cancelled ones go too, once they are older than the days that are kept. */
  purgeFailed?: boolean
  /** Days of which every backup stays. */
  dailyRetention?: number
  /** Weeks of which one backup of each type stays. */
  weeklyRetention?: number
  /** Which one, by `calendar`: 0 (Sunday, when absent) to 6. */
  weeklyDay?: number
  /** Months of which one backup of each type stays. */
  monthlyRetention?: number
  /** Which one, by `calendar`: 1 (when absent) to 31, or the month's last day. */
  monthlyDay?: number
}

export interface RestoreConfig {
  batchSize?: number
  numInsertionWorkers?: number
  numParallelCollections?: number
  numParallelFiles?: number
  numDownloadWorkers?: number
  maxDownloadBufferMb?: number
  downloadChunkMb?: number
  /** `majority`, `votingMembers` or a number from 1 to 50, as a text. */
  indexCommitQuorum?: string
  mongodLocation?: string
  mongodLocationMap?: Record<string, string>
  fallbackEnabled?: boolean
  allowPartlyDone?: boolean
  /** Seconds; 0 is no limit. */
  timeouts?: { balancerStop?: number }
  /** Ours: false restores without reading every object through before anything is dropped. True when absent. */
  verify?: boolean
  /** Ours: of the operations of transactions that an oplog has open at once. 16 when absent or 0. */
  openTransactionsGB?: number
}

/** What `pbm drill` looks for in what it has restored. */
export interface DrillConfig {
  checks?: DrillCheck[]
}

/** PBM: cli-and-config.md §3.3. */
export const DEFAULT_COMPRESSION = 's2'
