import type { MongoClient } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { listBackups, setReplsetFields } from '../control/backups.js'
import type { Ciphers } from '../encryption/ciphers.js'
import { signingKey } from '../encryption/record-signature.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { toStorageJson, withChecksum } from '../store/layout/backup-metadata.js'
import { backupMetadataName, replsetFolder } from '../store/layout/names.js'
import { readRecordText } from '../store/layout/read-record.js'

export interface RecordKeysOptions extends CallOptions {
  readonly leader: MongoClient
  readonly store: ObjectStore
  readonly ciphers: Ciphers
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
  const { leader, profile } = options
  let changed = 0
  for (const backup of await listBackups(leader, { profile, status: 'done' })) {
    const stale = staleParts(backup, options)
    if (stale.length === 0) continue
    await recordOnStorage(backup.name, options)
    for (const { name: rs, encryption } of stale) {
      const keyIds = [...options.keyIds]
      await setReplsetFields(leader, backup.name, rs, { encryption: { ...encryption, keyIds } })
    }
    changed += 1
  }
  return changed
}

async function recordOnStorage(backup: string, options: RecordKeysOptions): Promise<void> {
  const { store, ciphers, keyIds, signal } = options
  const name = backupMetadataName(backup)
  const stored = await readRecordText(store, name, { signal }).catch((error: unknown) => {
    if (hasCode(error, 'STORAGE_NOT_FOUND')) return undefined
    throw error
  })
  if (stored === undefined) return
  const { signature: signed, ...record } = stored.record
  const key = signed === undefined ? undefined : await signingKey(store, ciphers, backup, stored.text, { signal })
  // What somebody has altered is not signed anew.
  if (signed !== undefined && key === undefined) return
  for (const part of staleParts(record, options)) part.encryption.keyIds = [...keyIds]
  // Its secrets were masked before it was stored.
  const signature = key?.sign(toStorageJson(record, record.store))
  const text = withChecksum(
    toStorageJson({ ...record, ...(signature === undefined ? {} : { signature }) }, record.store),
  )
  await store.save(name, bodyOf(Buffer.from(text)), { signal })
}

function staleParts({ name, replsets }: BackupDocument, { method, keyIds, scopes }: RecordKeysOptions) {
  return replsets.flatMap((part) => {
    const { encryption } = part
    if (encryption?.type !== method || !scopes.has(replsetFolder(name, part.name))) return []
    return encryption.keyIds.join() === keyIds.join() ? [] : [{ name: part.name, encryption }]
  })
}
