import pLimit from 'p-limit'
import type { BackupDocument, BackupReplset } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import {
  archiveDumpName,
  archiveOplogName,
  backupFolder,
  backupMetadataName,
  IDENTITY_OBJECT,
  INIT_OBJECT,
  isSafeBackupName,
  METADATA_SUFFIX,
} from '../store/layout/names.js'
import { isLegacyArchive } from '../store/layout/pbm-version.js'
import { readRecord } from '../store/layout/read-record.js'
import type { OpenStore } from '../store/open-store.js'

/** What it takes to find a backup's objects. */
export interface StoredBackup extends Pick<BackupDocument, 'name' | 'pbm_version'> {
  readonly replsets: readonly Pick<BackupReplset, 'name' | 'dump_name' | 'oplog_name'>[]
}

/** Deletions under way at once. */
const WIDTH = 8

/**
 * Deletes every object of a backup: the metadata first, so that from then on no resync lists it; then its folder, and the
 * root-level files of the layout before PBM 2.0. What is gone already is no error, so it can be repeated after a failure.
 *
 * @returns how many objects it deleted. Rejects with the codes of a storage; before anything is deleted, with `BACKUP_NAME`
 *   for a name that could reach other objects, and `FOLDER_FOREIGN` where its folder is a storage of its own.
 */
export async function deleteBackupObjects(
  store: OpenStore,
  backup: StoredBackup,
  options: CallOptions = {},
): Promise<number> {
  if (!isSafeBackupName(backup.name)) {
    throw new PbmError(
      'BACKUP_NAME',
      `${JSON.stringify(backup.name)} can't be the name of a backup: nothing was deleted`,
    )
  }
  const names = legacyObjects(backup)
  for await (const { name } of store.list({ prefix: backupFolder(backup.name), ...options })) {
    refuseForeign(backup.name, name)
    names.push(name)
  }
  let deleted = 0
  const remove = async (name: string): Promise<void> => {
    try {
      await store.delete(name, options)
      deleted += 1
    } catch (error) {
      if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
    }
  }
  await remove(backupMetadataName(backup.name))
  if (deleted === 0 && isLegacyArchive(backup.pbm_version)) {
    await Promise.all((await metadataUnderOtherNames(store, backup.name, options)).map(remove))
  }

  const strays = store.strayParts?.({ prefix: backupFolder(backup.name), ...options }) ?? []
  for await (const name of strays) names.push(name)
  const limit = pLimit(WIDTH)
  await Promise.all(names.map((name) => limit(() => remove(name))))
  return deleted
}

/** A cluster whose prefix leads into the folder has its storage there, whatever record led here. */
function refuseForeign(backup: string, object: string): void {
  const inFolder = object.slice(backupFolder(backup).length)
  const file = inFolder.slice(inFolder.lastIndexOf('/') + 1)
  if (file !== INIT_OBJECT && file !== IDENTITY_OBJECT && !(file === inFolder && file.endsWith(METADATA_SUFFIX))) return
  throw new PbmError('FOLDER_FOREIGN', `${object} says that ${backupFolder(backup)} is a storage of its own`, {
    hint: `Nothing was deleted. Where no backup is called ${backup}, delete ${backupMetadataName(backup)} by hand, then: pbm config --force-resync`,
  })
}

/**
 * Dump and oplog at the root of the storage: only those that are called as this backup and a replica set of it, whatever the
 * metadata says. Colons may have been replaced by hand (PBM: storage-format.md §6). A name with an underscore could be that
 * of another backup and the beginning of its replica set's.
 */
function legacyObjects({ name: backup, pbm_version, replsets }: StoredBackup): string[] {
  if (!isLegacyArchive(pbm_version) || backup.includes('_')) return []
  return replsets.flatMap(({ name: rs, dump_name = '', oplog_name = '' }) =>
    [backup, backup.replaceAll(':', '.')].flatMap((name) => [
      ...(isSuffixed(dump_name, archiveDumpName(name, rs, '')) ? [dump_name] : []),
      ...(isSuffixed(oplog_name, archiveOplogName(name, rs, '')) ? [oplog_name] : []),
    ]),
  )
}

function isSuffixed(object: string, natural: string): boolean {
  return object.startsWith(natural) && /^(\.[a-z0-9]+)?$/.test(object.slice(natural.length))
}

/** Metadata at the root whose file was renamed: early backups whose colons were replaced by hand (PBM: storage-format.md §6). */
async function metadataUnderOtherNames(store: ObjectStore, backup: string, options: CallOptions): Promise<string[]> {
  const found: string[] = []
  for await (const { name, size } of store.list(options)) {
    if (name.includes('/') || !name.endsWith(METADATA_SUFFIX) || size === 0) continue
    try {
      if ((await readRecord(store, name, options)).name === backup) found.push(name)
    } catch (error) {
      // Where it is not the metadata of any backup, it is not ours to delete.
      if (!(error instanceof PbmError)) throw error
    }
  }
  return found
}
