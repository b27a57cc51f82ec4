import { PbmError } from '../errors.js'
import { hasCode, PluginError } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { isKeyFault, keyError, type OpenMethod } from './ciphers.js'
import { openKeyObject, readKeyObject } from './key-objects.js'

export interface LoadKeyOptions extends CallOptions {
  /** Shown the ids of the configured keys that it is sealed for, before it is opened. */
  readonly onKeys?: (ids: readonly string[]) => void
}

/**
 * The secret in a key object. Rejects with `ENCRYPTION_KEY_MISSING`, `ENCRYPTION_KEY_WRONG` and `ENCRYPTION_TAMPERED`, which
 * name the object, and with the codes of a storage.
 */
export async function loadWrappingKey(
  store: ObjectStore,
  name: string,
  { cipher, plugin, name: method }: OpenMethod,
  { onKeys, ...call }: LoadKeyOptions = {},
): Promise<Buffer> {
  let sealed: Buffer
  try {
    sealed = await readKeyObject(store, name, call)
  } catch (error) {
    if (!hasCode(error, 'STORAGE_NOT_FOUND') && !hasCode(error, 'STORAGE_EMPTY')) throw error
    throw new PbmError('ENCRYPTION_KEY_MISSING', `the key object ${name} is missing on the storage`, {
      hint: 'what it protects can not be opened without it: bring the object back, or restore another backup',
      cause: error,
    })
  }
  try {
    onKeys?.(plugin.keysOf?.(sealed) ?? [])
    return await openKeyObject(sealed, name, cipher)
  } catch (error) {
    if (isKeyFault(error)) throw keyError(error, name, method)
    throw new PluginError('ENCRYPTION_TAMPERED', `the key object ${name} is altered`, { cause: error })
  }
}
