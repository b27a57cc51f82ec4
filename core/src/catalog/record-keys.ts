import type { MongoClient } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { listBackups, setReplsetFields } from '../control/backups.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { toStorageJson, withChecksum } from '../store/layout/backup-metadata.js'
import { backupMetadataName, replsetFolder } from '../store/layout/names.js'
import { readRecord } from '../store/layout/read-record.js'

export interface RecordKeysOptions extends CallOptions {
  readonly leader: MongoClient
  readonly store: ObjectStore
  /** null for the main storage. */
  readonly profile: string | null
  readonly method: string
  readonly keyIds: readonly string[]
  /** Folders of replica sets' parts whose keys are all sealed with these ids. */
  readonly scopes: ReadonlySet<string>
}

/**
 * Makes the records of backups name the keys that open them now, in the control collections and on the storage. Only for
 * people: what opens an object stands in its key object. Gives how many backups it changed.
 */
export async function recordKeys(options: RecordKeysOptions): Promise<number> {
  const { leader, store, profile, signal } = options
  let changed = 0
  for (const backup of await listBackups(leader, { profile, status: 'done' })) {
    const stale = staleParts(backup, options)
    if (stale.length === 0) continue
    const name = backupMetadataName(backup.name)
    const stored = await readRecord(store, name, { signal }).catch((error: unknown) => {
      if (hasCode(error, 'STORAGE_NOT_FOUND')) return undefined
      throw error
    })
    if (stored !== undefined) {
      // Its secrets were masked before it was stored.
      for (const part of staleParts(stored, options)) part.encryption.keyIds = [...options.keyIds]
      await store.save(name, bodyOf(Buffer.from(withChecksum(toStorageJson(stored, stored.store)))), { signal })
    }
    for (const { name: rs, encryption } of stale) {
      const keyIds = [...options.keyIds]
      await setReplsetFields(leader, backup.name, rs, { encryption: { ...encryption, keyIds } })
    }
    changed += 1
  }
  return changed
}

function staleParts({ name, replsets }: BackupDocument, { method, keyIds, scopes }: RecordKeysOptions) {
  return replsets.flatMap((part) => {
    const { encryption } = part
    if (encryption?.type !== method || !scopes.has(replsetFolder(name, part.name))) return []
    return encryption.keyIds.join() === keyIds.join() ? [] : [{ name: part.name, encryption }]
  })
}
