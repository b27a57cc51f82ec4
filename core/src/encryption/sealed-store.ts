import type { BackupDocument } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import type { WrappingKey } from '../plugin/encryption.js'
import { hasCode, PluginError } from '../plugin/errors.js'
import type { CallOptions, ObjectStore, ReadOptions } from '../plugin/storage.js'
import { parsePitrChunkName, replsetFolder } from '../store/layout/names.js'
import { bound, type OpenStore } from '../store/open-store.js'
import { untilAborted } from '../time/until-aborted.js'
import { type Ciphers, isKeyFault, keyError, type OpenMethod } from './ciphers.js'
import { createWrappingKey, isKeyObject, keyObjectName, keyScope } from './key-objects.js'
import { loadWrappingKey } from './load-key.js'

/** The encryption method of an object by its name; undefined for one that is stored as it is. */
export type MethodOf = (object: string) => string | undefined

/** Chunks of the oplog say it in their names. */
export const chunkMethod: MethodOf = (object) => parsePitrChunkName(object)?.encryption

/** All that a backup has of a replica set is sealed, but the keys themselves. */
export function partMethod(
  backup: string,
  part: { name: string; encryption?: { type: string } | undefined },
): MethodOf {
  const folder = replsetFolder(backup, part.name)
  return (object) => (object.startsWith(folder) && !isKeyObject(object) ? part.encryption?.type : undefined)
}

/** {@link partMethod} of every replica set of a backup. */
export function backupMethod({ name, replsets }: Pick<BackupDocument, 'name' | 'replsets'>): MethodOf {
  const parts = replsets.filter(({ encryption }) => encryption !== undefined).map((part) => partMethod(name, part))
  return (object) => parts.map((methodOf) => methodOf(object)).find((method) => method !== undefined)
}

/** Whether everything that a backup has of its replica sets is sealed, as its record says. */
export function isWhollySealed({ replsets }: Pick<BackupDocument, 'replsets'>): boolean {
  return replsets.length > 0 && replsets.every(({ encryption }) => encryption !== undefined)
}

/** Whether any part of the backup is sealed. */
export function isSealed({ replsets }: Pick<BackupDocument, 'replsets'>): boolean {
  return replsets.some(({ encryption }) => encryption !== undefined)
}

/** The store, as the objects of this backup are to be read from it. */
export function storeOf(
  store: OpenStore,
  ciphers: Ciphers | undefined,
  backup: Pick<BackupDocument, 'name' | 'replsets'>,
): OpenStore {
  return ciphers === undefined || !isSealed(backup) ? store : sealedStore(store, ciphers, backupMethod(backup))
}

/**
 * The store with objects sealed on their way in and opened on their way out, where `methodOf` names a method for them.
 * Everything else passes through; sizes are those on the storage. Of an object that can't be opened, reading rejects with
 * its name and the id of the key: `ENCRYPTION_KEY_MISSING`, `ENCRYPTION_KEY_WRONG`, `ENCRYPTION_TAMPERED` or
 * `CODEC_TRUNCATED`. A range of a sealed object can't be read.
 */
export function sealedStore(store: OpenStore, ciphers: Ciphers, methodOf: MethodOf): OpenStore {
  const keys = new WrappingKeys(store, ciphers)
  return {
    ...bound(store),
    save: async (name, body, options) => {
      const method = methodOf(name)
      if (method === undefined) return await store.save(name, body, options)
      const { cipher } = await ciphers.method(method)
      const under = cipher.wrapsKeys === true ? await keys.forSealing(name, method, options) : undefined
      const boundTo = cipher.bindsNames === true ? name : undefined
      return await store.save(name, cipher.seal(body, { under, boundTo }), options)
    },
    read: async (name, options = {}) => {
      const method = methodOf(name)
      if (method === undefined) return await store.read(name, options)
      refuseRange(name, options)
      const opened = await ciphers.method(method).catch((error: unknown) => {
        throw isKeyFault(error) ? keyError(error, name, method) : error
      })
      return openEach(await store.read(name, options), name, opened, keys, options)
    },
  }
}

async function* openEach(
  stored: AsyncIterable<Uint8Array>,
  name: string,
  { cipher, name: method }: OpenMethod,
  keys: WrappingKeys,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  try {
    const wrappingKey = (id: string) => keys.forOpening(name, id, method, options)
    yield* cipher.open(stored, { wrappingKey, boundTo: cipher.bindsNames === true ? name : undefined })
  } catch (error) {
    if (isKeyFault(error)) throw error instanceof PbmError ? error : keyError(error, name, method)
    if (!hasCode(error, 'ENCRYPTION_TAMPERED') && !hasCode(error, 'CODEC_TRUNCATED')) throw error
    const code = hasCode(error, 'CODEC_TRUNCATED') ? 'CODEC_TRUNCATED' : 'ENCRYPTION_TAMPERED'
    const text = `${name}: ${error instanceof Error ? error.message : String(error)}${keys.told(name)}`
    throw new PluginError(code, text, { cause: error })
  }
}

function refuseRange(name: string, { offset, length }: ReadOptions): void {
  if ((offset ?? 0) === 0 && length === undefined) return
  throw new PluginError('STORAGE_NOT_SUPPORTED', `${name} is sealed: it can't be read in parts`)
}

/** The shared work goes on; who waits for it does not, once its signal aborts. */
async function shared<T>(work: Promise<T>, signal: AbortSignal | undefined, object: string): Promise<T> {
  if (signal === undefined) return await work
  return await untilAborted(
    work,
    signal,
    () => new PluginError('STORAGE_ABORTED', `${object}: aborted`, { cause: signal.reason }),
  )
}

/** The wrapping keys that one store has met or made. */
class WrappingKeys {
  readonly #store: ObjectStore
  readonly #ciphers: Ciphers
  /** By scope. */
  readonly #own = new Map<string, Promise<WrappingKey>>()
  /** By the name of their object. */
  readonly #met = new Map<string, Promise<Buffer>>()
  /** Scope → ids of the configured keys that the wrapping key is sealed for, for messages. */
  readonly #sealedFor = new Map<string, string>()

  constructor(store: ObjectStore, ciphers: Ciphers) {
    this.#store = store
    this.#ciphers = ciphers
  }

  /** Made once for all who ask: who gives up stops waiting, and takes the key from nobody else. */
  forSealing(object: string, method: string, { signal }: CallOptions = {}): Promise<WrappingKey> {
    const scope = keyScope(object)
    let making = this.#own.get(scope)
    if (making === undefined) {
      making = this.#make(scope, method)
      this.#own.set(scope, making)
      making.catch(() => this.#own.delete(scope))
    }
    return shared(making, signal, object)
  }

  /** With the keys that are there now: a process that lives long must not go on with one that was taken out since. */
  async #make(scope: string, method: string): Promise<WrappingKey> {
    const { cipher } = await this.#ciphers.reopened(method)
    return await createWrappingKey(this.#store, scope, cipher)
  }

  forOpening(object: string, id: string, method: string, options: CallOptions): Promise<Buffer | undefined> {
    // The id comes from the object, which anybody may have written: it must lead nowhere else.
    if (!/^[0-9a-f]{32}$/.test(id)) return Promise.resolve(undefined)
    const scope = keyScope(object)
    const name = keyObjectName(scope, id)
    let loading = this.#met.get(name)
    if (loading === undefined) {
      loading = this.#load(name, scope, method)
      this.#met.set(name, loading)
      loading.catch(() => this.#met.delete(name))
    }
    return shared(loading, options.signal, object)
  }

  async #load(name: string, scope: string, method: string): Promise<Buffer> {
    const onKeys = (ids: readonly string[]) => this.#sealedFor.set(scope, ids.join(', '))
    return await loadWrappingKey(this.#store, name, await this.#ciphers.method(method), { onKeys })
  }

  /** Which configured key stands behind an object, as the end of a sentence. */
  told(object: string): string {
    const ids = this.#sealedFor.get(keyScope(object)) ?? ''
    return ids === '' ? '' : ` (sealed with key ${ids})`
  }
}
