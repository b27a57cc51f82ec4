import type { Config } from '../config/document.js'
import type { BackupDocument, BackupEncryption } from '../control/backup-document.js'
import type { Ciphers, OpenMethod } from '../encryption/ciphers.js'
import { isSealed, partMethod, sealedStore } from '../encryption/sealed-store.js'
import { PbmError } from '../errors.js'
import type { ObjectStore } from '../plugin/storage.js'

/** What stands in metadata that everybody may read where a namespace would. */
const HIDDEN = '(sealed).*'

/** How one replica set's part of a backup is sealed. */
export class PartSealing {
  readonly record: BackupEncryption
  readonly #store: ObjectStore
  readonly #ciphers: Ciphers
  readonly #replset: string

  constructor(store: ObjectStore, ciphers: Ciphers, method: OpenMethod, replset: string) {
    this.record = { type: method.name, keyIds: [...method.cipher.keyIds] }
    this.#store = store
    this.#ciphers = ciphers
    this.#replset = replset
  }

  /** Seals everything of this part, and nothing else. */
  store(backup: string): ObjectStore {
    const part = { name: this.#replset, encryption: this.record }
    return sealedStore(this.#store, this.#ciphers, partMethod(backup, part))
  }

  ended(objects: number): { encryption: BackupEncryption } {
    return { encryption: { ...this.record, objects } }
  }
}

/** An archive has the names of its namespaces in one stream with the data, at a name that PBM takes for its own. */
export function refuseLayout({ backup }: Pick<Config, 'backup'>): void {
  if (backup?.layout !== 'archive') return
  throw new PbmError('ENCRYPTION_LAYOUT', 'backup.layout archive can not be encrypted: it is there for mongorestore', {
    hint: 'leave backup.layout out, or set encryption.type to none',
  })
}

/** The record as it may be read by anybody: without names of namespaces where the data is sealed. */
export function withoutNames(backup: BackupDocument): BackupDocument {
  if (backup.nss === undefined || !isSealed(backup)) return backup
  return { ...backup, nss: backup.nss.map(() => HIDDEN) }
}
