import type { MongoClient } from 'mongodb'
import { deleteFailedBackup } from '../catalog/delete-failed.js'
import type { BackupDocument } from '../control/backup-document.js'
import { findBackup, insertBackup } from '../control/backups.js'
import { isDuplicateKey, unixSeconds } from '../control/wire.js'
import type { ObjectStore } from '../plugin/storage.js'
import { archiveDumpName, archiveOplogName } from '../store/layout/names.js'
import { ARCHIVE_LAYOUT_VERSION } from '../store/layout/pbm-version.js'

/**
 * Deletes what a failed backup has on the storage (see {@link deleteFailedBackup}), unless its record says that it is done:
 * the answer to just that may be what was lost, and a backup in the list must be whole. Rejects where the record can't be
 * read, too, and deletes nothing then: who watches over failed backups does it when it can be.
 */
export async function discardBackup(
  leader: MongoClient,
  store: ObjectStore,
  begun: {
    readonly name: string
    readonly opid: string
    readonly replsets: readonly string[]
    readonly suffix: string
  },
  signal?: AbortSignal,
): Promise<void> {
  const { name, opid, suffix } = begun
  const record = await findBackup(leader, name)
  if (record?.status === 'done') return
  // A record that somebody dropped tells nothing of the layout: what either could have left goes.
  const replsets = begun.replsets.map((rs) => ({
    name: rs,
    dump_name: archiveDumpName(name, rs, suffix),
    oplog_name: archiveOplogName(name, rs, suffix),
  }))
  const left = record ?? { name, pbm_version: ARCHIVE_LAYOUT_VERSION, replsets }
  await deleteFailedBackup(store, { ...left, opid }, { signal })
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
