import { errorText, PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { INIT_OBJECT } from '../store/layout/names.js'
import { PBM_COMPATIBLE_VERSION } from '../version.js'
import { type SmallObject, saveText } from './write-test.js'

export const INIT: SmallObject = { name: INIT_OBJECT, text: PBM_COMPATIBLE_VERSION }

/** Writes `.pbm.init` where it is missing. */
export async function ensureInitObject(store: ObjectStore, options: CallOptions = {}): Promise<void> {
  if ((await probeStorage(store, options)) === 'new') await saveText(store, INIT, options)
}

/**
 * Looks at the storage without writing, as agents do every few seconds: `new` when nothing was ever initialised there.
 * Rejects with `STORAGE_PROBE` when it can't be looked at.
 */
export async function probeStorage(store: ObjectStore, options: CallOptions = {}): Promise<'ready' | 'new'> {
  try {
    await store.stat(INIT_OBJECT, options)
    return 'ready'
  } catch (error) {
    // An empty object is what a crashed writer of another tool may leave.
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return 'new'
    throw unreadable(error)
  }
}

/**
 * Whether the storage takes names that differ in upper and lower case only for one, as file systems of macOS and Windows and
 * shares of such do. Looked at the init object, which has to be there.
 */
export async function ignoresCase(store: ObjectStore, options: CallOptions = {}): Promise<boolean> {
  try {
    await store.stat(INIT_OBJECT.toUpperCase(), options)
    return true
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND')) return false
    throw unreadable(error)
  }
}

export function unreadable(cause: unknown): PbmError {
  return new PbmError('STORAGE_PROBE', `the storage can't be read: ${errorText(cause)}`, { cause })
}
