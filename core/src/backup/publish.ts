import type { MongoClient } from 'mongodb'
import { checkFiles } from '../catalog/check-files.js'
import { maskStorage } from '../config/mask.js'
import type { BackupDocument } from '../control/backup-document.js'
import { isTimestampSet, setBackupFields } from '../control/backups.js'
import { unixSeconds } from '../control/wire.js'
import type { Ciphers } from '../encryption/ciphers.js'
import { signRecord } from '../encryption/record-signature.js'
import { storeOf } from '../encryption/sealed-store.js'
import { PbmError } from '../errors.js'
import type { ObjectStore } from '../plugin/storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { toStorageJson, withChecksum } from '../store/layout/backup-metadata.js'
import { backupMetadataName } from '../store/layout/names.js'
import type { DeadlineGuard } from '../time/deadline-guard.js'
import { requireRecord, setClusterTime } from './cut.js'
import { withoutNames } from './sealing.js'

export interface PublishContext {
  readonly leader: MongoClient
  readonly store: ObjectStore
  readonly ciphers: Ciphers | undefined
  /** Knows which options of the storage are secrets. */
  readonly host: PluginHost
  readonly guard: DeadlineGuard
}

/**
 * After all parts are done: checks the objects and writes the metadata, which makes it a backup. Throws BACKUP_INCOMPLETE and
 * OPERATION_GONE.
 */
export async function publishBackup(
  { leader, store, ciphers, host, guard }: PublishContext,
  name: string,
): Promise<void> {
  const { signal } = guard
  await setClusterTime(leader, name, 'last')
  const document = await requireRecord(leader, name)
  const isKept = store.capabilities.keepsNothing !== true
  const problems = isKept ? await checkFiles(storeOf(store, ciphers, document), document, { signal }) : []
  if (problems.length > 0) throw new PbmError('BACKUP_INCOMPLETE', `objects are missing: ${problems.join('; ')}`)
  // A restore goes by it: without, the backup would be listed and could not be used.
  if (!isTimestampSet(document.last_write_ts)) {
    throw new PbmError('BACKUP_INCOMPLETE', `the record of backup ${name} does not say where its oplog ends`)
  }
  guard.throwIfStopped()
  const timestamp = unixSeconds()
  const done: BackupDocument = {
    ...withoutNames(document),
    status: 'done',
    last_transition_ts: timestamp,
    conditions: [...document.conditions, { timestamp, status: 'done' }],
  }
  const masked = await maskStorage(done.store, host)
  const signature = await signRecord(store, await ciphers?.current(), name, toStorageJson(done, masked), { signal })
  if (signature !== undefined) await setBackupFields(leader, name, { signature })
  const text = withChecksum(toStorageJson({ ...done, ...(signature === undefined ? {} : { signature }) }, masked))
  await store.save(backupMetadataName(name), bodyOf(Buffer.from(text)), { signal })
}
