import type { MongoClient } from 'mongodb'
import type { BackupDocument } from '../../control/backup-document.js'
import { findBackup } from '../../control/backups.js'
import { asksForPart, type RestoreCommand } from '../../control/command-document.js'
import { PbmError } from '../../errors.js'
import { hasCode } from '../../plugin/errors.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { backupMetadataName } from '../../store/layout/names.js'
import { readRecord } from '../../store/layout/read-record.js'

/**
 * The backup as the control collections know it, else as the storage does (PBM: control-plane.md §5.3, step 3). A part may
 * come out of a physical one, too. Throws `BACKUP_NOT_FOUND`, `BACKUP_NOT_DONE` and `BACKUP_NOT_LOGICAL`.
 */
export async function findRestorable(
  leader: MongoClient,
  store: ObjectStore,
  command: RestoreCommand,
  signal: AbortSignal,
): Promise<BackupDocument> {
  const name = command.backupName
  const backup = await findAnywhere(leader, store, name, signal)
  if (backup.status !== 'done') {
    throw new PbmError('BACKUP_NOT_DONE', `Backup ${name} can't be restored: it is ${backup.status}`)
  }
  if (backup.type === 'logical' || (backup.type === 'physical' && asksForPart(command))) return backup
  throw new PbmError('BACKUP_NOT_LOGICAL', `Backup ${name} is ${backup.type}; only logical ones can be restored`)
}

/** Also while the storage has not been read yet, as after a restore of files. Throws `BACKUP_NOT_FOUND`. */
export async function findAnywhere(
  leader: MongoClient,
  store: ObjectStore,
  name: string,
  signal: AbortSignal,
): Promise<BackupDocument> {
  return (await findBackup(leader, name)) ?? (await readStored(store, name, signal))
}

async function readStored(store: ObjectStore, name: string, signal: AbortSignal): Promise<BackupDocument> {
  try {
    return await readRecord(store, backupMetadataName(name), { signal })
  } catch (error) {
    if (!hasCode(error, 'STORAGE_NOT_FOUND') && !hasCode(error, 'STORAGE_INVALID_NAME')) throw error
    throw new PbmError('BACKUP_NOT_FOUND', `There is no backup ${name}`, {
      hint: 'pbm list shows the backups; pbm config --force-resync finds those on a storage not used before.',
      cause: error,
    })
  }
}
