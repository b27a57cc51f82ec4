import pLimit from 'p-limit'
import type { RotationFigures } from '../control/operations.js'
import { errorText, PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { type Ciphers, NO_ENCRYPTION, type OpenMethod } from './ciphers.js'
import { isKeyObject, openKeyObject, readKeyObject } from './key-objects.js'

/** Key objects under way at once. */
const WIDTH = 8

export interface RotateOptions extends CallOptions {
  readonly store: ObjectStore
  readonly ciphers: Ciphers
  /** Of the keys that everybody was found to have: others must not take their place meanwhile. */
  readonly keyIds?: readonly string[] | undefined
  /** Looks at everything and writes nothing. */
  readonly dryRun: boolean
  /** Called after each key object. */
  readonly onProgress?: (figures: RotationFigures) => void
}

export interface Rotation {
  /** Key objects on the storage. */
  readonly keys: number
  /** Of these, sealed with the configured key now, or to be in a dry run. */
  readonly rewrapped: number
  /** Sealed with it before. */
  readonly current: number
  /** Those that no key at hand opens: the older keys are still needed for them. */
  readonly unreadable: readonly { readonly object: string; readonly reason: string }[]
  /** Folders, with their slash, whose keys are all sealed with the configured key. */
  readonly scopes: ReadonlySet<string>
}

/**
 * Seals every wrapping key of a storage anew, with the key that the configuration has in front. Each object is replaced
 * atomically and read back, so that wherever this ends, each opens with the old key or with the new one. Throws
 * `ENCRYPTION_OFF`, `ENCRYPTION_NO_ROTATION` and `KEYS_DIFFER` before anything is read.
 */
export async function rotateKeys(options: RotateOptions): Promise<Rotation> {
  const { store, ciphers, keyIds, dryRun, onProgress, signal } = options
  const method = await rotatingMethod(ciphers, keyIds)
  const names: string[] = []
  for await (const { name } of store.list({ signal })) if (isKeyObject(name)) names.push(name)
  const limit = pLimit(WIDTH)
  const unreadable: { object: string; reason: string }[] = []
  const done = { rewrapped: 0, current: 0 }
  const failed = new Set<string>()
  let failure: { readonly error: unknown } | undefined
  // All end before anything is thrown: nothing may be written after that.
  await Promise.all(
    names.map((name) =>
      limit(async () => {
        if (failure !== undefined) return
        try {
          signal?.throwIfAborted()
          done[await rewrap(store, name, method, dryRun, { signal })] += 1
        } catch (error) {
          if (!isOfObject(error)) {
            failure ??= { error }
            return
          }
          // Its backup was deleted meanwhile.
          if (hasCode(error, 'STORAGE_NOT_FOUND')) return
          unreadable.push({ object: name, reason: errorText(error) })
          failed.add(scopeOf(name))
        }
        onProgress?.({ keys: names.length, ...done, unreadable: unreadable.length })
      }),
    ),
  )
  if (failure !== undefined) throw failure.error
  const scopes = new Set(names.map(scopeOf).filter((scope) => !failed.has(scope)))
  return { keys: names.length, ...done, unreadable: unreadable.sort((a, b) => (a.object < b.object ? -1 : 1)), scopes }
}

/** The configured method with the keys of this moment. */
async function rotatingMethod(ciphers: Ciphers, keyIds: readonly string[] | undefined): Promise<OpenMethod> {
  const current = await ciphers.current()
  if (current === undefined) {
    throw new PbmError('ENCRYPTION_OFF', `encryption.type is ${NO_ENCRYPTION}: there is no key to rotate to`, {
      hint: 'set encryption.type to the method whose keys are to be changed',
    })
  }
  const method = await ciphers.reopened(current.name)
  if (method.cipher.wrapsKeys === true) {
    if (keyIds === undefined || keyIds.join() === method.cipher.keyIds.join()) return method
    throw new PbmError(
      'KEYS_DIFFER',
      `the keys are now ${method.cipher.keyIds.join(', ')}, and were ${keyIds.join(', ')} when the agents were asked`,
      { hint: 'rotate again, once the keys are in place everywhere' },
    )
  }
  throw new PbmError('ENCRYPTION_NO_ROTATION', `${method.name} has no keys that can be rotated`, {
    hint: 'new backups are sealed for the keys configured now; keep the older ones as long as there are backups of theirs',
  })
}

async function rewrap(
  store: ObjectStore,
  name: string,
  { cipher, plugin }: OpenMethod,
  dryRun: boolean,
  call: CallOptions,
): Promise<'rewrapped' | 'current'> {
  const sealed = await readKeyObject(store, name, call)
  const secret = await openKeyObject(sealed, name, cipher)
  if (plugin.keysOf?.(sealed).some((id) => cipher.keyIds.includes(id)) === true) return 'current'
  if (dryRun) return 'rewrapped'
  await store.save(name, cipher.seal(bodyOf(secret)), call)
  const again = await openKeyObject(await readKeyObject(store, name, call), name, cipher)
  if (!again.equals(secret)) throw new PbmError('KEY_NOT_STORED', `${name} does not read as it was written`)
  return 'rewrapped'
}

/** Of this object alone; anything else would be so of the next one too. */
function isOfObject(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code)
  return /^(ENCRYPTION|CODEC)_/.test(code) || code === 'STORAGE_NOT_FOUND' || code === 'STORAGE_EMPTY'
}

function scopeOf(keyObject: string): string {
  return keyObject.replace(/pbmkit\.keys\/[^/]*$/, '')
}
