import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { isKeyObject, keyScope } from '../encryption/key-objects.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { PITR_FOLDER, pitrDayFolder } from '../store/layout/names.js'

export interface FinishedKeysOptions extends CallOptions {
  readonly store: ObjectStore
  /** All that are listed. */
  readonly chunks: readonly PitrChunkDocument[]
  readonly rs: string
  /** Whether any slicer of `rs` has its lock. */
  readonly isSliced: () => Promise<boolean>
}

/**
 * The key objects of a replica set's chunks with which nothing more will be sealed. A slicer stores a key of its own for
 * each day before its first chunk of that day, uses nobody else's, and goes on in time: it is done with the days before
 * that of the newest chunk, and with all once it has no lock. To be asked before chunks are deleted, for where none is
 * listed the next slicer may begin in any of these days.
 */
export async function finishedKeys({ store, chunks, rs, isSliced, signal }: FinishedKeysOptions): Promise<string[]> {
  const days = chunks.filter((chunk) => chunk.rs === rs).map(({ start_ts }) => pitrDayFolder(rs, start_ts))
  const newest = days.sort().at(-1) ?? ''
  const keys: string[] = []
  for await (const { name } of store.list({ prefix: folderOf(rs), signal })) if (isKeyObject(name)) keys.push(name)
  // Asked last: whose key was listed had the lock by then.
  return (await isSliced()) ? keys.filter((name) => keyScope(name) < newest) : keys
}

/** Deletes those of `keys` beside which there is no object any more that could be sealed with them. */
export async function deleteBareKeys(
  store: ObjectStore,
  rs: string,
  keys: readonly string[],
  { signal }: CallOptions,
): Promise<void> {
  if (keys.length === 0) return
  const needed = new Set<string>()
  for await (const { name } of store.list({ prefix: folderOf(rs), signal }))
    if (!isKeyObject(name)) needed.add(keyScope(name))
  for (const name of keys) {
    if (needed.has(keyScope(name))) continue
    await store.delete(name, { signal }).catch((error: unknown) => {
      if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
    })
  }
}

function folderOf(rs: string): string {
  return `${PITR_FOLDER}/${rs}/`
}
