import { randomUUID } from 'node:crypto'
import { errorText, PbmError } from '../errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { IDENTITY_OBJECT } from '../store/layout/names.js'

/** One that may be written again and again, with the same text. */
export interface SmallObject {
  readonly name: string
  readonly text: string
}

export async function saveText(
  store: ObjectStore,
  { name, text }: SmallObject,
  options: CallOptions = {},
): Promise<void> {
  await store.save(name, bodyOf(Buffer.from(text)), options)
}

/**
 * Tests that the storage can be written, by writing an object once more that is there: it stays the only one. Where it can't
 * be replaced twice over, and not because the storage is away for a moment, by one that is new: `write once`, for it may have
 * to stay. A storage may be mounted read-only on one host. Rejects with `STORAGE_READ_ONLY`.
 */
export async function testWriting(
  store: ObjectStore,
  object: SmallObject,
  options: CallOptions = {},
): Promise<'replaced' | 'write once'> {
  const replace = () => saveText(store, object, options)
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
    await saveText(store, { name, text: name }, options)
  } catch {
    return false
  }
  await store.delete(name, options).catch(() => undefined)
  return true
}
