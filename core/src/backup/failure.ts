import type { MongoClient } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { findBackup, insertBackup } from '../control/backups.js'
import { isDuplicateKey, unixSeconds } from '../control/wire.js'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { ObjectStore } from '../plugin/storage.js'
import {
  archiveDumpName,
  archiveOplogName,
  backupFolder,
  backupMetadataName,
  isSafeBackupName,
} from '../store/names.js'
import { strayParts } from '../store/split.js'

/** The code of the reason with which `pbm cancel-backup` aborts a backup: it ends as `canceled`, not as `error`. */
export const BACKUP_CANCELED = 'BACKUP_CANCELED'

/** The reason to abort a backup with, when somebody asked for its end. */
export function backupCanceled(): PbmError {
  return new PbmError(BACKUP_CANCELED, 'the backup was canceled')
}

export function isCanceled(error: unknown): boolean {
  return error instanceof PbmError && error.code === BACKUP_CANCELED
}

/**
 * {@link deleteUnfinished}, unless the record says that the backup is done: the answer to just that may be what was lost,
 * and a backup in the list must be whole. Rejects where the record can't be read, too, and deletes nothing then: who
 * watches over failed backups does it when it can be.
 */
export async function discardBackup(
  leader: MongoClient,
  store: ObjectStore,
  stored: { readonly backup: string; readonly replsets: readonly string[]; readonly suffix: string },
): Promise<void> {
  const { backup, replsets, suffix } = stored
  if ((await findBackup(leader, backup))?.status === 'done') return
  await deleteUnfinished(store, backup, replsets, suffix)
}

/**
 * Deletes all objects of a backup that did not end well; the metadata first, so that nothing lists it any more. What is
 * gone already is fine. Rejects with the codes of a storage.
 */
async function deleteUnfinished(
  store: ObjectStore,
  backup: string,
  replsets: readonly string[],
  suffix: string,
): Promise<void> {
  if (!isSafeBackupName(backup)) return
  const remove = async (name: string) => {
    await store.delete(name).catch((error: unknown) => {
      if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
    })
  }
  await remove(backupMetadataName(backup))
  for (const replset of replsets) {
    await remove(archiveDumpName(backup, replset, suffix))
    await remove(archiveOplogName(backup, replset, suffix))
  }
  for await (const { name } of store.list({ prefix: backupFolder(backup) })) await remove(name)
  for await (const name of strayParts(store, { prefix: backupFolder(backup) })) await remove(name)
}

/**
 * Puts the record of a failed backup back, when somebody dropped the control collections under it: without a record, its
 * failure could be seen nowhere.
 */
export async function recordLostBackup(leader: MongoClient, last: BackupDocument, error: string): Promise<void> {
  if ((await findBackup(leader, last.name)) !== undefined) return
  const ended: BackupDocument = { ...last, status: 'error', error, last_transition_ts: unixSeconds() }
  await insertBackup(leader, ended).catch((fault: unknown) => {
    if (!isDuplicateKey(fault)) throw fault
  })
}
