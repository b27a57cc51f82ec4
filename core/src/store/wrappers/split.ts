import { hasCode, PluginError } from '../../plugin/errors.js'
import type { ListOptions, ObjectInfo, TransferOptions } from '../../plugin/storage.js'
import type { OpenStore } from '../open-store.js'
import {
  type Chain,
  chainOf,
  deleteAll,
  namedAsParts,
  parsePartName,
  partName,
  SMALLEST_BASE,
  signalOf,
  wholeObject,
} from './parts.js'
import type { VersionedStore } from './retry.js'
import { abandon, findWhole, makeRoom, type SplitContext, summed } from './split-context.js'
import { readInParts } from './split-read.js'
import { saveInParts } from './split-save.js'

/**
 * The store with objects above `largestBytes` in parts, as PBM's (PBM: storage-format.md §1): callers see whole objects.
 *
 * A new object is seen whole or not at all, since its base, without which parts are not listed, becomes visible last: its
 * body stays open until all other parts are stored. PBM writes the base first. What is replaced stays until the new one
 * has an end or a second part; if either of them has parts, then there is neither for as long as the parts take, because
 * their names are the same. Two writers of one name at once end in either object only as long as both fit in one part.
 */
export function splitStore(
  store: VersionedStore,
  largestBytes: number,
  warn: (message: string) => void = () => undefined,
): OpenStore {
  // A fraction would leave pieces of no bytes.
  const maxBytes = Math.max(1, Math.floor(largestBytes))
  const context: SplitContext = { store, maxBytes, smallestBase: Math.min(SMALLEST_BASE, maxBytes), warn }
  const { maxObjectBytes: _, ...capabilities } = store.capabilities
  return {
    capabilities,
    save: async (name, body, options = {}) => {
      requireNoPart(name)
      return saveInParts(context, name, body, options)
    },
    read: (name, options = {}) => readInParts(context, name, options),
    stat: async (name, options = {}) => wholeObject(await findWhole(context, name, options)),
    list: (options = {}) => listWhole(context, options),
    delete: async (name, options = {}) => {
      const found = await store.stat(name, signalOf(options)).catch((error: unknown) => {
        if ((error as { code?: unknown } | null)?.code === 'STORAGE_EMPTY') return undefined
        throw error
      })
      // First, so that nobody sees an object without its end.
      await store.delete(name, signalOf(options))
      if (found === undefined || found.size < context.smallestBase) return
      const parts = (await namedAsParts(store, name, options)).map((info) => info.name)
      await deleteAll(store, parts, options)
    },
    copy: async (source, target, options = {}) => {
      requireNoPart(target)
      return copyInParts(context, source, target, options)
    },
    close: () => store.close(),
    strayParts: (options = {}) => strayParts(context, options),
  }
}

async function* strayParts(context: SplitContext, options: ListOptions): AsyncGenerator<string> {
  for (const chain of (await listChains(context, options)).values()) yield* chain.strays
}

function requireNoPart(name: string): void {
  if (typeof name !== 'string' || parsePartName(name) === undefined) return
  const text = `object name ${JSON.stringify(name)}: names that end in .pbmpart. and a number are those of parts`
  throw new PluginError('STORAGE_INVALID_NAME', text)
}

async function* listWhole(context: SplitContext, options: ListOptions): AsyncGenerator<ObjectInfo> {
  const held = new Map<string, { base?: ObjectInfo; parts: ObjectInfo[] }>()
  const entry = (name: string) => {
    const found = held.get(name) ?? { parts: [] }
    held.set(name, found)
    return found
  }
  for await (const info of context.store.list(options)) {
    const part = parsePartName(info.name)
    if (part !== undefined) entry(part.base).parts.push(info)
    else if (info.size >= context.smallestBase) entry(info.name).base = info
    else yield info
  }
  for (const { base, parts } of held.values()) if (base !== undefined) yield wholeObject(chainOf(base, parts))
}

/** Of every object below the prefix that has what is named as its parts; an object that is not there has size 0. */
async function listChains(context: SplitContext, options: ListOptions): Promise<Map<string, Chain>> {
  const parts = new Map<string, ObjectInfo[]>()
  for await (const info of context.store.list(options)) {
    const part = parsePartName(info.name)
    if (part !== undefined) parts.set(part.base, [...(parts.get(part.base) ?? []), info])
  }
  const chains = new Map<string, Chain>()
  for (const [name, found] of parts) {
    const base = await context.store.stat(name, signalOf(options)).catch((error: unknown) => {
      const { code } = (error ?? {}) as { code?: unknown }
      if (code === 'STORAGE_NOT_FOUND' || code === 'STORAGE_EMPTY') return { name, size: 0 }
      throw error
    })
    chains.set(name, chainOf(base, found))
  }
  return chains
}

async function copyInParts(
  context: SplitContext,
  source: string,
  target: string,
  options: TransferOptions,
): Promise<ObjectInfo> {
  const { store } = context
  const call = signalOf(options)
  const chain = await findWhole(context, source, call).catch((error: unknown) => {
    // It is the storage's own to refuse: of a name that it can't take and an object that is missing, the name comes first.
    if (hasCode(error, 'STORAGE_EMPTY') || hasCode(error, 'STORAGE_NOT_FOUND')) return undefined
    throw error
  })
  if (chain === undefined || chain.size < context.smallestBase) return store.copy(source, target, options)
  if (source === target) {
    options.onProgress?.(chain.size)
    return wholeObject(chain)
  }
  await makeRoom(context, target, chain.parts.length > 0, call)
  const progress = summed(options)
  const copied: string[] = []
  try {
    for (const [index, part] of chain.parts.entries()) {
      const name = partName(target, index + 1)
      copied.push(name)
      await store.copy(part.name, name, { ...call, onProgress: progress() })
    }
    const { modifiedAt } = await store.copy(source, target, { ...call, onProgress: progress() })
    return { name: target, size: chain.size, ...(modifiedAt === undefined ? {} : { modifiedAt }) }
  } catch (error) {
    await abandon(context, target, copied, chain.base.size)
    throw error
  }
}
