import { randomUUID } from 'node:crypto'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { IDENTITY_OBJECT } from '../store/layout/names.js'
import { readText } from '../store/layout/read-text.js'
import { probeStorage, unreadable } from './init-object.js'
import { type SmallObject, saveText } from './write-test.js'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const MAX_BYTES = 64

/**
 * What the storage calls itself; undefined where nothing of ours was ever written. The same path may be another place on
 * another host: a share that is not mounted there, a folder of its own in each container.
 */
export async function readIdentity(store: ObjectStore, options: CallOptions = {}): Promise<string | undefined> {
  try {
    const text = await readText(store, IDENTITY_OBJECT, { ...options, maxBytes: MAX_BYTES })
    return UUID.test(text) ? text : undefined
  } catch (error) {
    // Anything else of that name is not ours.
    const code = error instanceof PbmError ? error.code : undefined
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY') || code === 'OBJECT_TOO_LARGE')
      return undefined
    throw error
  }
}

/** What the storage calls itself; given an identity where it has none. To be called where it is written to anyway. */
export async function ensureIdentity(store: ObjectStore, options: CallOptions = {}): Promise<string> {
  const known = await readIdentity(store, options)
  if (known !== undefined) return known
  const identity = randomUUID()
  await writeIdentity(store, identity, options)
  return identity
}

/** As an agent looks every few seconds: without writing. Rejects with `STORAGE_PROBE` when it can't be looked at. */
export async function lookForIdentity(store: ObjectStore, options: CallOptions = {}): Promise<string | undefined> {
  const found = await readIdentity(store, options).catch((error: unknown) => {
    throw unreadable(error)
  })
  // A storage never initialised is no fault: the first backup or resync does that.
  if (found === undefined) await probeStorage(store, options)
  return found
}

export async function writeIdentity(store: ObjectStore, identity: string, options: CallOptions = {}): Promise<void> {
  await saveText(store, identityObject(identity), options)
}

export function identityObject(identity: string): SmallObject {
  return { name: IDENTITY_OBJECT, text: identity }
}
