import { isSelective } from '../../catalog/retention.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { profileOf } from '../../control/profiles.js'
import { isTimeAsked } from '../../control/restore-document.js'
import { PbmError } from '../../errors.js'

/** Refuses, before anything is done, what this version does not do; silently doing all would be worse. */
export function refuseUnsupported(command: RestoreCommand): void {
  const { nss, nsFrom, external } = command
  const asked =
    (nss !== undefined && nss.length > 0 && !nss.includes('*.*') && 'of chosen namespaces') ||
    (nsFrom !== undefined && nsFrom !== '' && 'into another namespace') ||
    (external && 'of external data')
  if (asked) throw new PbmError('RESTORE_UNSUPPORTED', `A restore ${asked} is not supported by this version`)
}

/** Its oplog holds every namespace, and replaying that would change what was not selected. */
export function refuseSelective(backup: BackupDocument): void {
  if (!isSelective(backup)) return
  throw new PbmError('RESTORE_UNSUPPORTED', `Backup ${backup.name} is selective: this version can't restore it`, {
    hint: 'Restore it with PBM.',
  })
}

/** The chunks lie on the main storage, and a restore reads one storage. */
export function refuseProfileBase(backup: BackupDocument, { oplogTS }: RestoreCommand): void {
  const profile = profileOf(backup)
  if (profile === undefined || !isTimeAsked(oplogTS)) return
  throw new PbmError(
    'RESTORE_UNSUPPORTED',
    `Backup ${backup.name} can't be the base of a point in time: it lies on the storage of profile ${profile}`,
    { hint: 'Choose a base on the main storage, where the oplog is.' },
  )
}

/** The part of the backup for replica set `rs`; undefined when it has none. `rsMap` is backup name → target name. */
export function replsetOfBackup(
  backup: BackupDocument,
  rs: string,
  rsMap: Readonly<Record<string, string>>,
): BackupReplset | undefined {
  return backup.replsets.find(({ name }) => (rsMap[name] ?? name) === rs)
}
