import type { BackupDocument } from '../../control/backup-document.js'
import type { CallOptions, ObjectStore } from '../../plugin/storage.js'
import { fromStorageJsonGently } from './backup-metadata.js'
import { readText } from './read-text.js'

/** A record becomes one document of the control collections, and no server takes a larger one. */
const MAX_RECORD_BYTES = 16 * 1024 * 1024

/** Reads the object of a backup's metadata. Rejects with the storage's codes, `OBJECT_TOO_LARGE`, `BACKUP_METADATA_INVALID`. */
export async function readRecord(store: ObjectStore, object: string, options: CallOptions): Promise<BackupDocument> {
  return (await readRecordText(store, object, options)).record
}

/** As {@link readRecord}, with the text, which is what is signed. */
export async function readRecordText(
  store: ObjectStore,
  object: string,
  options: CallOptions,
): Promise<{ readonly text: string; readonly record: BackupDocument }> {
  const text = await readText(store, object, { ...options, maxBytes: MAX_RECORD_BYTES })
  return { text, record: await fromStorageJsonGently(text) }
}
