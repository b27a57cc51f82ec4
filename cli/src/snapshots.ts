import {
  type BackupDocument,
  type Config,
  isMain,
  isStale,
  type LastDrill,
  profileOf,
  rfc3339,
  tableTime,
  type VerifiedBackup,
} from '@pbmkit/core'
import type { Timestamp } from 'mongodb'
import { drilledWord, drillOf } from './drill.js'
import { sealedState, sealedWord } from './sealed.js'
import { verifiedWord } from './verification.js'
import { failureReason } from './wait/failure.js'

/** One backup in the JSON of `list` and `status`, with PBM's names (PBM: cli-and-config.md §1.3). */
export interface Snapshot {
  name: string
  profile?: string
  storage?: string
  nss?: string[]
  size?: number
  status: string
  printStatus: 'success' | 'failed' | 'ongoing'
  error?: string
  /** Unix seconds: the last write the backup holds, or its last change of state where it holds none. */
  restoreTo: number
  pbmVersion: string
  type: string
  src: string
  /** Ours, where encryption is configured or the backup is sealed: whether all of it is, as its record says. */
  sealed?: boolean
  /** Ours, likewise: whether its record is signed with the key. */
  signed?: boolean
  /** Ours, likewise: the method, `no` or `partly`. */
  encryption?: string
  /** Ours: what came of its last verification. */
  verification?: VerifiedBackup
  /** Ours: the same of its last drill, with the time that a restore takes. */
  drill?: LastDrill
}

/** `incompatible` says why this cluster can't restore a finished backup. A dead unfinished one reads as an error. */
export function toSnapshot(backup: BackupDocument, now: Timestamp, incompatible?: string, config?: Config): Snapshot {
  const sealed = sealedState(backup, config)
  const drill = drillOf(backup)
  const { status, error } = outcome(backup, now, incompatible)
  return {
    name: backup.name,
    ...(backup.store.name === undefined ? {} : { profile: backup.store.name, storage: backup.store.name }),
    ...(backup.nss === undefined || backup.nss.length === 0 ? {} : { nss: backup.nss }),
    ...(Number(backup.size) > 0 ? { size: Number(backup.size) } : {}),
    status,
    printStatus: status === 'done' ? 'success' : status === 'error' || status === 'canceled' ? 'failed' : 'ongoing',
    ...(error === undefined ? {} : { error }),
    restoreTo: backup.status === 'done' ? backup.last_write_ts.t : Number(backup.last_transition_ts),
    pbmVersion: backup.pbm_version,
    type: backup.type,
    src: backup.src_backup ?? '',
    ...(sealed === undefined ? {} : { ...sealed, encryption: sealedWord(backup) }),
    ...(backup.verification === undefined ? {} : { verification: backup.verification }),
    ...(drill === undefined ? {} : { drill }),
  }
}

function outcome(
  backup: BackupDocument,
  now: Timestamp,
  incompatible: string | undefined,
): { status: string; error?: string } {
  switch (backup.status) {
    case 'done':
      return incompatible === undefined
        ? { status: 'done' }
        : { status: 'error', error: `incompatible: ${incompatible}` }
    case 'canceled':
      return { status: 'canceled', ...(backup.error ? { error: backup.error } : {}) }
    case 'error':
      return { status: 'error', error: failureReason(backup) }
    default:
      return isStale(backup.hb, now)
        ? { status: 'error', error: `stuck at '${backup.status}': last heartbeat ${rfc3339(backup.hb.t)}` }
        : { status: backup.status }
  }
}

/** The backups of one storage; all where no profile is asked for. */
export function ofProfile(backups: readonly BackupDocument[], profile: string | undefined): BackupDocument[] {
  if (profile === undefined) return [...backups]
  return backups.filter((backup) => profileOf(backup) === (isMain(profile) ? undefined : profile))
}

export function isSelective(snapshot: { nss?: readonly string[] }): boolean {
  return snapshot.nss !== undefined && snapshot.nss.length > 0 && !snapshot.nss.includes('*.*')
}

/** The cells of a column that is there where any of the snapshots has something to say of it. */
export function sealedColumn(snapshots: readonly Snapshot[]): { head: string[]; cell: (of: Snapshot) => string[] } {
  const isTold = snapshots.some(({ encryption }) => encryption !== undefined)
  return isTold ? { head: ['SEALED'], cell: (of) => [of.encryption ?? 'no'] } : { head: [], cell: () => [] }
}

/** The same of verifications and drills; `now` in Unix seconds. */
export function verifiedColumn(
  snapshots: readonly Snapshot[],
  now: number,
): { head: string[]; cell: (of: Snapshot) => string[] } {
  const isVerified = snapshots.some(({ verification }) => verification !== undefined)
  const isDrilled = snapshots.some(({ drill }) => drill !== undefined)
  return {
    head: [...(isVerified ? ['VERIFIED'] : []), ...(isDrilled ? ['DRILL'] : [])],
    cell: ({ verification, drill }) => [
      ...(isVerified ? [verifiedWord(verification, now)] : []),
      ...(isDrilled ? [drilledWord(drill, now)] : []),
    ],
  }
}

/** For tables; `-` where the backup does not know it (PBM writes the timestamp (1,1) for "unset"). */
export function restoreTime({ restoreTo }: Snapshot): string {
  return restoreTo > 1 ? tableTime(restoreTo) : '-'
}
