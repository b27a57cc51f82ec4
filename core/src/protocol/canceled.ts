import { PbmError } from '../errors.js'

/** The code of the reason with which `pbm cancel-backup` aborts a backup: it ends as `canceled`, not as `error`. */
export const BACKUP_CANCELED = 'BACKUP_CANCELED'

/** The reason to abort a backup with, when somebody asked for its end. */
export function backupCanceled(): PbmError {
  return new PbmError(BACKUP_CANCELED, 'the backup was canceled')
}

/** Of what runs beside operations. */
export function operationCanceled(): PbmError {
  return new PbmError('OPERATION_CANCELED', 'it was canceled')
}

export function isCanceled(error: unknown): boolean {
  return error instanceof PbmError && error.code === BACKUP_CANCELED
}
