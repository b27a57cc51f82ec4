import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { backupMarkName } from '../store/layout/names.js'
import { readText } from '../store/layout/read-text.js'

/** An ObjectId as hex. */
const MAX_BYTES = 24

/** What a backup is known by on its storage while it begins. `opid`: another cluster may have one of the same name. */
export interface BackupMark {
  readonly backup: string
  readonly opid: string
}

/** Copies of a folder have one identity, but only one of them has what was written after they were made. */
export async function writeMark(store: ObjectStore, { backup, opid }: BackupMark, options: CallOptions = {}) {
  await store.save(backupMarkName(backup), bodyOf(Buffer.from(opid)), options)
}

/** Asks for it by its name. Rejects with the codes of a storage that can't be read. */
export async function hasMark(store: ObjectStore, { backup, opid }: BackupMark, options: CallOptions = {}) {
  try {
    return (await readText(store, backupMarkName(backup), { ...options, maxBytes: MAX_BYTES })) === opid
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return false
    throw error
  }
}

/** What is gone already is no error. */
export async function removeMark(store: ObjectStore, backup: string, options: CallOptions = {}): Promise<void> {
  await store.delete(backupMarkName(backup), options).catch((error: unknown) => {
    if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
  })
}
