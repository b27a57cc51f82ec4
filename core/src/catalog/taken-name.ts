import { PbmError } from '../errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'

/**
 * Throws `BACKUP_EXISTS` where the storage has anything that is called as a backup of that name has it: the backup of
 * another cluster, or the folder of another storage. Its objects would be replaced, and deleted if the backup failed.
 */
export async function refuseTakenName(store: ObjectStore, name: string, options: CallOptions): Promise<void> {
  for await (const { name: object } of store.list({ prefix: name, ...options })) {
    // What begins the same is another backup's.
    if (!/^[/._]/.test(object.slice(name.length))) continue
    throw new PbmError(
      'BACKUP_EXISTS',
      `the storage has ${object} already, which is called as if it were of backup ${name}`,
      {
        hint: 'Backups are named by the second they begin at: start it again, and give each cluster a prefix of its own',
      },
    )
  }
}
