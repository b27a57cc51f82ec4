import { hasCode } from '../../plugin/errors.js'
import type { CallOptions, TransferOptions } from '../../plugin/storage.js'
import {
  type Chain,
  chainOf,
  deleteAll,
  isMissing,
  namedAsParts,
  parsePartName,
  requireWhole,
  signalOf,
} from './parts.js'
import type { VersionedStore } from './retry.js'

/** What split and unsplit calls share. */
export interface SplitContext {
  readonly store: VersionedStore
  /** Bytes of an object, and of each part but the last. */
  readonly maxBytes: number
  /** From this size on an object may have parts. */
  readonly smallestBase: number
  warn(message: string): void
}

/** The object with its parts. Rejects with NOT_FOUND and EMPTY. */
export async function findWhole(context: SplitContext, name: string, options: CallOptions): Promise<Chain> {
  const base = await context.store.stat(name, signalOf(options))
  const mayHaveParts = base.size >= context.smallestBase && parsePartName(name) === undefined
  const chain = chainOf(base, mayHaveParts ? await namedAsParts(context.store, name, options) : [])
  requireWhole(chain)
  return chain
}

/**
 * Takes away what must not be seen together with a new object of this name: parts of the one that it replaces, and that
 * one itself when it has parts or gets some.
 */
export async function makeRoom(
  { store, smallestBase }: SplitContext,
  name: string,
  inParts: boolean,
  options: CallOptions,
): Promise<void> {
  const parts = await namedAsParts(store, name, options)
  let replaced = parts.length > 0
  if (!replaced && inParts) {
    const base = await store.stat(name, signalOf(options)).catch(() => undefined)
    replaced = base !== undefined && base.size >= smallestBase
  }
  if (replaced) await deleteAll(store, [name, ...parts.map((info) => info.name)], options)
}

/** How long the removal of a failed object's parts may take (milliseconds). */
const CLEANUP_MS = 30_000

/**
 * Deletes parts of an object that did not come about; they are not listed, so a failure here is only told. A base whose
 * answer was lost may be there all the same, and without its parts would pass for the whole: it goes first, and as long as
 * it may be there, its parts stay. `baseBytes` is its size where no other object can have taken the name meanwhile.
 */
export async function abandon(
  { store, warn }: SplitContext,
  name: string,
  parts: readonly string[],
  baseBytes: number | undefined,
): Promise<void> {
  const signal = () => AbortSignal.timeout(CLEANUP_MS)
  if (parts.length > 0 && baseBytes !== undefined) {
    try {
      const base = await store.stat(name, { signal: signal() })
      if (base.size === baseBytes) await deleteAll(store, [name], { signal: signal() })
    } catch (error) {
      if (!isMissing(error) && !hasCode(error, 'STORAGE_EMPTY')) {
        warn(`a failed object may be stored, and is left with its parts, ${name}: ${(error as Error).message}`)
        return
      }
    }
  }
  for (const part of parts) {
    await store.delete(part, { signal: signal() }).catch((error: unknown) => {
      if (!isMissing(error)) warn(`a part of a failed object is left, ${part}: ${(error as Error).message}`)
    })
  }
}

/** Progress of one object from that of its parts, which may run side by side. */
export function summed({ onProgress }: TransferOptions): () => (bytes: number) => void {
  const each: number[] = []
  let told = -1
  return () => {
    const index = each.push(0) - 1
    return (bytes) => {
      each[index] = bytes
      const sum = each.reduce((total, part) => total + part, 0)
      if (sum <= told) return
      told = sum
      onProgress?.(sum)
    }
  }
}
