import type { Progress } from './backup-document.js'
import type { GainedRoles } from './restore-document.js'

/** What a restore would do, as `pbm restore --dry-run` asks: noted in the document of the look in `pbmOpLog`. */
export interface RestorePlan {
  /** What there would be, by name; the largest where there are too many to be listed. */
  readonly namespaces: readonly PlannedNamespace[]
  /** What of the target would go. */
  readonly dropped: readonly DroppedNamespace[]
  /** Of all, those not listed too. */
  readonly totals: { readonly restored: Tallied; readonly dropped: Tallied; readonly staying: number }
  /** What would be read of the backup, beside its lists. */
  readonly objects: readonly PlannedObject[]
  readonly oplog: readonly PlannedOplog[]
  /** Of how many databases users and roles would be replaced; `all`; `none`. */
  readonly usersAndRoles: 'all' | 'none' | readonly string[]
  readonly gainedRoles: readonly GainedRoles[]
  readonly warnings: readonly string[]
}

export interface PlannedNamespace {
  readonly ns: string
  readonly type: 'collection' | 'view' | 'timeseries'
  /** Its name in the backup, where that is another one; undefined where the oplog creates it. */
  readonly from?: string
  /** That of the oplog, so that the documents are known only when it is replayed. */
  readonly createdByOplog?: true
  /** What is missing is put into the one that is there. */
  readonly intoExisting?: true
  /** In the backup; of time series, buckets. */
  readonly documents: number
  /** Of BSON. */
  readonly bytes: number
}

export interface DroppedNamespace {
  readonly ns: string
  readonly type: string
  /** By the count of the server, which may be a little off after a crash. */
  readonly documents: number
  readonly bytes: number
}

export interface Tallied {
  readonly namespaces: number
  readonly documents: number
  readonly bytes: number
}

export interface PlannedObject {
  readonly name: string
  /** On the storage. */
  readonly bytes: number
}

export interface PlannedOplog extends PlannedObject {
  /** Of a backup, or a chunk of point-in-time recovery. */
  readonly kind: 'backup' | 'chunk'
  /** Unix seconds, both inclusive. */
  readonly start: number
  readonly end: number
}

/** How far a look is, and in the end what it found. */
export interface PlanNote {
  readonly progress?: Progress
  readonly plan?: RestorePlan
}
