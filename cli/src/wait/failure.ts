import { type BackupDocument, type LockDocument, PbmError, type RestoreDocument, rfc3339, saysBusy } from '@pbmkit/core'

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
  const reason = failureReason(backup)
  if (saysBusy(reason)) return busy(`backup ${backup.name}`, reason)
  return new PbmError('BACKUP_FAILED', `backup ${backup.name} failed: ${reason}`, { hint })
}

/** A replay has a record like a restore's, without a backup. */
export type RestoreKind = 'restore' | 'replay'

export function restoreFailed(restore: RestoreDocument, kind: RestoreKind = 'restore'): PbmError {
  const reason = failureReason(restore)
  if (saysBusy(reason)) return busy(`${kind} ${restore.name}`, reason)
  return new PbmError('RESTORE_FAILED', `${kind} ${restore.name} failed: ${reason}`, {
    hint: `More in: pbm logs -e ${kind}/${restore.name} -t 0 -s D`,
  })
}

/** What an agent logged instead of beginning: OPERATION_RUNNING where another operation stands in the way, else `code`. */
export function notBegun(code: string, what: string, reason: string, hint?: string): PbmError {
  if (saysBusy(reason)) return busy(what, reason)
  const verb = code === 'REFUSED' ? 'was refused' : 'failed'
  return new PbmError(code, `${what} ${verb}: ${reason}`, hint === undefined ? {} : { hint })
}

function busy(what: string, reason: string): PbmError {
  return new PbmError('OPERATION_RUNNING', `${what} does not begin: ${reason}`, {
    hint: 'See pbm status, and try again when it has ended.',
  })
}

/** An operation nobody works on any more. */
export function stuck(kind: 'backup' | RestoreKind, document: BackupDocument | RestoreDocument): PbmError {
  return new PbmError(
    'STUCK',
    `${kind} ${document.name} is stuck at '${document.status}': the last heartbeat of its agent was ${rfc3339(document.hb.t)}`,
    {
      hint: `Any live agent of the replica set marks it as failed within a minute; then start it again. See which agent is lost with pbm status, and why with pbm logs -e ${kind}/${document.name} -t 0.`,
    },
  )
}

/** The same of an operation that has no record but its lock. */
export function lost(what: string, { replset, node, hb }: LockDocument): PbmError {
  return new PbmError(
    'STUCK',
    `the ${what} was not finished: the agent on ${replset}/${node}, which was at it, is gone; its last heartbeat was ${rfc3339(hb.t)}`,
    {
      hint: 'What it had done so far stays. Run the command again: another agent goes on. See pbm status for the agents.',
    },
  )
}
