import { type BackupDocument, findBackup, listBackups, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { suggest } from './suggest.js'

/** The named backup. Fails with BACKUP_NOT_FOUND, which tells the names most like the one given. */
export async function requireBackup(leader: MongoClient, name: string): Promise<BackupDocument> {
  const backup = await findBackup(leader, name)
  if (backup !== undefined) return backup
  const names = (await listBackups(leader)).map((known) => known.name)
  const near = suggest(name, names)
  throw new PbmError('BACKUP_NOT_FOUND', `there is no backup '${name}'`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.join(' or ')}?`
        : 'See pbm list. Backups that lie on the storage but are not listed: pbm config --force-resync --wait.',
  })
}
