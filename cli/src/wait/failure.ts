import { type BackupDocument, PbmError, type RestoreDocument } from '@pbmkit/core'
import { rfc3339 } from '../output/times.js'

/** Why a backup or restore failed: its own error, and what its replica sets say beyond that. */
export function failureReason(document: BackupDocument | RestoreDocument): string {
  const own = document.error ?? ''
  const replsets = document.replsets
    .filter(({ error }) => error !== undefined && error !== '' && !own.includes(error))
    .map(({ name, error }) => `${name}: ${error}`)
  return [own, ...replsets].filter((part) => part !== '').join('; ') || 'no reason was recorded'
}

export function backupFailed(backup: BackupDocument): PbmError {
  const hint = `More in: pbm logs -e backup/${backup.name} -t 0 -s D`
  if (backup.status === 'canceled')
    return new PbmError('BACKUP_CANCELED', `backup ${backup.name} was canceled; nothing of it was kept`, { hint })
  return new PbmError('BACKUP_FAILED', `backup ${backup.name} failed: ${failureReason(backup)}`, { hint })
}

/** A replay has a record like a restore's, without a backup. */
export type RestoreKind = 'restore' | 'replay'

export function restoreFailed(restore: RestoreDocument, kind: RestoreKind = 'restore'): PbmError {
  return new PbmError('RESTORE_FAILED', `${kind} ${restore.name} failed: ${failureReason(restore)}`, {
    hint: `More in: pbm logs -e ${kind}/${restore.name} -t 0 -s D`,
  })
}

/** An operation nobody works on any more. */
export function stuck(kind: 'backup' | RestoreKind, document: BackupDocument | RestoreDocument): PbmError {
  return new PbmError(
    'STUCK',
    `${kind} ${document.name} is stuck at '${document.status}': the last heartbeat of its agent was ${rfc3339(document.hb.t)}`,
    { hint: `See which agent is lost with pbm status, and why with pbm logs -e ${kind}/${document.name} -t 0.` },
  )
}
