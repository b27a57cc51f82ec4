import type { BackupDocument } from '../../control/backup-document.js'
import { type Ciphers, isKeyFault, keyError, type OpenMethod } from '../../encryption/ciphers.js'
import { signedText, signingKey, signs } from '../../encryption/record-signature.js'
import { backupMethod, chunkMethod } from '../../encryption/sealed-store.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { hasCode } from '../../plugin/errors.js'
import type { CallOptions, ObjectStore, ReadOptions } from '../../plugin/storage.js'
import { backupMetadataName } from '../../store/layout/names.js'
import { readRecordText } from '../../store/layout/read-record.js'
import { bound, type OpenStore } from '../../store/open-store.js'
import { damaged } from '../data/stored-objects.js'

/**
 * With encryption configured, what is read back must be sealed: everybody who can write to the storage can put a plain
 * backup there. What was made before encryption was switched on is restored only where somebody says so.
 */
export interface SealedOnly {
  /** The backup as its record on the storage has it, which is signed where the method can; else as it was given. */
  backup(store: ObjectStore, backup: BackupDocument, options: CallOptions): Promise<BackupDocument>
  /** Throws `UNSEALED` for the first of these objects of point-in-time recovery that is not sealed. */
  chunks(objects: readonly string[]): Promise<void>
  /** The store, which gives nothing that is not sealed, wherever a record or a list leads. */
  store(store: OpenStore, backup?: BackupDocument): OpenStore
}

/** Rejects where the keys to seal with can't be had. */
export async function sealedOnly(
  ciphers: Ciphers | undefined,
  { allowUnsealed = false, log }: { readonly allowUnsealed?: boolean | undefined; readonly log: OperationLog },
): Promise<SealedOnly> {
  if (ciphers === undefined || !ciphers.seals) return UNCHECKED
  if (allowUnsealed) {
    log.warning('restored as it is asked for, sealed or not (--allow-unsealed): anybody may have put it on the storage')
    return UNCHECKED
  }
  const current = await ciphers.current().catch((error: unknown) => {
    throw isKeyFault(error) ? keyError(error, 'what is on the storage', ciphers.type) : error
  })
  return current === undefined ? UNCHECKED : new Checked(ciphers, current)
}

/** What is refused, and why; `what` begins the sentence, as in `backup … is not sealed`. */
export function unsealed(what: string, method: string): PbmError {
  return new PbmError(
    'UNSEALED',
    `${what}, and encryption.type is ${method}: whoever can write to the storage can have put it there`,
    {
      hint: 'if you know that it is yours, made before encryption was switched on for example, say --allow-unsealed',
    },
  )
}

const UNCHECKED: SealedOnly = {
  backup: async (_store, backup) => backup,
  chunks: async () => undefined,
  store: (store) => store,
}

class Checked implements SealedOnly {
  readonly #ciphers: Ciphers
  readonly #current: OpenMethod

  constructor(ciphers: Ciphers, current: OpenMethod) {
    this.#ciphers = ciphers
    this.#current = current
  }

  async backup(store: ObjectStore, backup: BackupDocument, options: CallOptions): Promise<BackupDocument> {
    const { name } = backup
    const read = signs(this.#current) ? await this.#signed(store, name, options) : backup
    if (read.name !== name) throw damaged(`${backupMetadataName(name)} is the record of backup ${read.name}`)
    if (read.replsets.length === 0) throw unsealed(`backup ${name} names nothing that is sealed`, this.#current.name)
    for (const { name: rs, encryption } of read.replsets) {
      await this.#require(encryption?.type, `backup ${name} of replica set ${rs}`)
    }
    return read
  }

  async chunks(objects: readonly string[]): Promise<void> {
    for (const object of objects) await this.#require(chunkMethod(object), object)
  }

  store(store: OpenStore, backup?: BackupDocument): OpenStore {
    const inBackup = backup === undefined ? () => undefined : backupMethod(backup)
    const read = async (object: string, options?: ReadOptions) => {
      await this.#require(inBackup(object) ?? chunkMethod(object), object)
      return await store.read(object, options)
    }
    return { ...bound(store), read }
  }

  async #signed(store: ObjectStore, name: string, options: CallOptions): Promise<BackupDocument> {
    const object = backupMetadataName(name)
    const notSigned = () => unsealed(`the record of backup ${name} is not signed`, this.#current.name)
    const { text, record } = await readRecordText(store, object, options).catch((error: unknown) => {
      throw hasCode(error, 'STORAGE_NOT_FOUND') ? notSigned() : error
    })
    const signature = signedText(text)
    if (signature === undefined) throw notSigned()
    if ((await signingKey(store, this.#ciphers, name, text, options)) !== undefined) return record
    throw damaged(`${object} is altered, and no longer what was signed`)
  }

  /** One whose public key is known to everybody does not take the place of a secret key. */
  async #require(method: string | undefined, what: string): Promise<void> {
    const current = this.#current
    if (method === undefined) throw unsealed(`${what} is not sealed`, current.name)
    if (method === current.name || current.cipher.authenticates !== true) return
    const { cipher } = await this.#ciphers.method(method)
    if (cipher.authenticates !== true) throw unsealed(`${what} is sealed with ${method}, as anybody can`, current.name)
  }
}
