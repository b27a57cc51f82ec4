import type { BackupDocument } from './backup-document.js'
import { DELETION_UNFINISHED } from './deletion-mark.js'

type History = Pick<BackupDocument, 'status' | 'conditions' | 'error'>

/** Whether it failed or was canceled before it ever was a backup; not one that was damaged or half deleted since. */
export function neverWasDone({ conditions }: Pick<History, 'conditions'>): boolean {
  const last = conditions.at(-1)?.status
  return (last === 'error' || last === 'canceled') && !conditions.some(({ status }) => status === 'done')
}

/** Whether the record is all that tells of it: nothing on the storage would bring it back. */
export function isOnlyRecorded(backup: History): boolean {
  if (backup.status !== 'error' && backup.status !== 'canceled') return false
  return neverWasDone(backup) || backup.error === DELETION_UNFINISHED
}
