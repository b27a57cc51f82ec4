import type { BackupDocument } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { backupMetadataName } from '../store/layout/names.js'
import { readRecord } from '../store/layout/read-record.js'
import { removeMark } from './backup-mark.js'
import { deleteBackupObjects, type StoredBackup } from './delete-objects.js'

/**
 * Deletes what a failed backup left on the storage. When its agent died between writing the metadata and saying so, that
 * is a whole backup, and goes too: everybody was told that it failed.
 *
 * Backups are named by their second. Where the metadata is that of another operation (two clusters with one storage and
 * one timetable), nothing is deleted: it would be somebody's good backup.
 *
 * @returns how many objects it deleted. Rejects as `deleteBackupObjects` does.
 */
export async function deleteFailedBackup(
  store: ObjectStore,
  backup: StoredBackup & Pick<BackupDocument, 'opid'>,
  options: CallOptions = {},
): Promise<number> {
  const owner = await ownerOf(store, backup.name, options)
  if (owner !== undefined && owner !== backup.opid) return 0
  await removeMark(store, backup.name, options)
  return await deleteBackupObjects(store, backup, options)
}

const UNREADABLE: ReadonlySet<string> = new Set(['BACKUP_METADATA_INVALID', 'OBJECT_TOO_LARGE'])

/** The operation that wrote the metadata; undefined where there is none, '' where it can't be told. */
async function ownerOf(store: ObjectStore, name: string, options: CallOptions): Promise<string | undefined> {
  try {
    return (await readRecord(store, backupMetadataName(name), options)).opid
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return undefined
    if (error instanceof PbmError && UNREADABLE.has(error.code)) return ''
    throw error
  }
}
