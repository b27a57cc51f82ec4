/** What is wrong with one object of the storage. */
export interface Damage {
  /** Absent for the record of a backup. */
  readonly rs?: string
  readonly object: string
  /** That of the error. */
  readonly code: string
  readonly what: string
  /** Bytes of the object that had been read when it was noticed; absent where nothing was read. */
  readonly offset?: number
  /** The namespace whose documents it holds. */
  readonly ns?: string
}

/** `unread`: something could not be looked at, for want of a key or a plugin. `gone`: deleted meanwhile. */
export type VerificationResult = 'good' | 'damaged' | 'unread' | 'gone'

/** What was looked at. */
export interface Looked {
  readonly objects: number
  /** On the storage. */
  readonly bytes: number
  readonly objectsRead: number
  readonly bytesRead: number
}

export interface BackupVerification extends Looked {
  readonly name: string
  readonly result: VerificationResult
  readonly damages: readonly Damage[]
  /** What could not be looked at, and why. */
  readonly unread: readonly string[]
  /** What is strange and does no harm. */
  readonly notes: readonly string[]
  /** What of it can still be restored, as far as was looked at: `part` is all but {@link lost}. */
  readonly restorable: 'all' | 'part' | 'none'
  /** Namespaces, by name. */
  readonly lost: readonly string[]
}

/** Unix seconds, both inclusive. */
export interface VerifiedRange {
  readonly start: number
  readonly end: number
}

export interface ChunksVerification extends Looked {
  readonly result: VerificationResult
  readonly damages: readonly Damage[]
  readonly unread: readonly string[]
  readonly notes: readonly string[]
  /** Between chunks of a replica set; the storage alone does not tell whether one is missing or slicing was off. */
  readonly gaps: readonly (VerifiedRange & { readonly rs: string })[]
  /** What can be restored to with the chunks and backups that are not damaged. */
  readonly ranges: readonly VerifiedRange[]
}

export interface VerificationReport {
  readonly result: Exclude<VerificationResult, 'gone'>
  /** Percent of the objects that were to be read; of the others only name and size were compared. */
  readonly readData: number
  readonly backups: readonly BackupVerification[]
  readonly chunks?: ChunksVerification
  /** How many damages, notes and other entries of the lists are left out, because there are too many. */
  readonly more: number
}

/** Ours, in the record of a backup in `pbmBackups`: its last verification. PBM ignores it. */
export interface VerifiedBackup {
  /** Unix seconds by the agent's clock. */
  readonly at: number
  readonly result: Exclude<VerificationResult, 'gone'>
  readonly readData: number
  /** `rs/host:port` of the agent. */
  readonly by: string
  readonly opid: string
  /** The first of them. */
  readonly damages: readonly Damage[]
  readonly restorable: 'all' | 'part' | 'none'
}

/** In one line, what is wrong. */
export function faultOf({ backups, chunks, more }: VerificationReport): string {
  const named = backups.map((one) => ({ ...one, what: `backup ${one.name}` }))
  const parts = [...named, ...(chunks === undefined ? [] : [{ ...chunks, what: 'the stored oplog' }])]
  const told = parts
    .filter(({ result }) => result === 'damaged' || result === 'unread')
    .map(({ what, damages, unread }) => `${what}: ${damages[0]?.what ?? unread[0] ?? 'damaged'}`)
  const count = parts.reduce((sum, { damages }) => sum + damages.length, more)
  return [...told.slice(0, 3), ...(count > told.length ? [`${count} findings in all`] : [])].join('; ')
}
