import { randomUUID } from 'node:crypto'
import { errorText, PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { IDENTITY_OBJECT } from '../store/layout/names.js'
import { readText } from '../store/layout/read-text.js'
import { probeStorage, unreadable } from './init-object.js'

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

/**
 * Tests that the storage can be written, by writing what it calls itself once more: one small object, which stays the only
 * one. Where it can't be replaced twice over, and not because the storage is away for a moment, by one that is new: `write
 * once`, for it may have to stay. A storage may be mounted read-only on one host. Rejects with `STORAGE_READ_ONLY`.
 */
export async function testWriting(
  store: ObjectStore,
  identity: string,
  options: CallOptions = {},
): Promise<'replaced' | 'write once'> {
  const replace = () => writeIdentity(store, identity, options)
  try {
    await replace().catch(replace)
    return 'replaced'
  } catch (error) {
    const isForGood = (error as { retriable?: unknown } | null)?.retriable !== true
    if (isForGood && (await isWriteOnce(store, options))) return 'write once'
    throw new PbmError('STORAGE_READ_ONLY', `the storage can't be written: ${errorText(error)}`, {
      hint: 'Is it mounted read-only, full, or does this host have other credentials?',
      cause: error,
    })
  }
}

async function isWriteOnce(store: ObjectStore, options: CallOptions): Promise<boolean> {
  const name = `${IDENTITY_OBJECT}-test-${randomUUID()}`
  try {
    await store.save(name, bodyOf(Buffer.from(name)), options)
  } catch {
    return false
  }
  await store.delete(name, options).catch(() => undefined)
  return true
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
  await store.save(IDENTITY_OBJECT, bodyOf(Buffer.from(identity)), options)
}
