import type { Timestamp } from 'mongodb'
import type { Nomination } from './backup-document.js'

/** The one document on oplog slicing, field for field as PBM has it (PBM: control-plane.md §1.4). */
export interface PitrDocument {
  /** Unix seconds. */
  start_ts: number
  /** Cluster time of the cluster leader's last heartbeat. PBM's slicers stop when it is stale. */
  hb: Timestamp
  status: PitrStatus
  n: Nomination[]
  replsets: PitrReplset[]
  /** Ours; PBM ignores it, and drops it when it begins an election: tells whose cluster leader wrote the document. */
  tool?: string
  /** Ours: a restore has switched point-in-time recovery off; the next snapshot switches it on again. */
  resume?: boolean
}

export type PitrStatus = '' | 'ready' | 'running' | 'reconfig' | 'error'

/** What one node answers to the cluster's status. PBM keeps a replica set's errors here, too. */
export interface PitrReplset {
  /** The replica set. */
  name: string
  /** `host:port` */
  node: string
  status: PitrStatus
  error?: string
  /** Ours; PBM ignores it: the end of the last chunk that this slicer stored. */
  stored?: Timestamp
}
