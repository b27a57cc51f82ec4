import { PluginError } from '../../plugin/errors.js'
import type { CallOptions, ObjectInfo, ObjectStore } from '../../plugin/storage.js'

/**
 * Objects too large for their storage come in parts (PBM: storage-format.md §1): the first keeps the name and is called
 * the base here, the others are `<name>.pbmpart.1`, `.pbmpart.2` and so on. All but the last have the size of the base.
 */
const PART = /^(?<base>.+)\.pbmpart\.(?<index>[1-9]\d*)$/s

/** An object smaller than this has no parts, so nobody has to look: PBM cuts at 1 GiB at the least. */
export const SMALLEST_BASE = 1024 * 1024

export function partName(base: string, index: number): string {
  return `${base}.pbmpart.${index}`
}

/** The object that `name` is a part of, and which; `undefined` for all other names. */
export function parsePartName(name: string): { base: string; index: number } | undefined {
  const { base, index } = PART.exec(name)?.groups ?? {}
  return base === undefined || index === undefined ? undefined : { base, index: Number(index) }
}

/** One object as it is stored. */
export interface Chain {
  readonly base: ObjectInfo
  /** In order, without the base. */
  readonly parts: readonly ObjectInfo[]
  /** Objects named as parts that are none of it: behind its end, or left by an older object of the name. */
  readonly strays: readonly string[]
  readonly size: number
}

/**
 * What belongs together. A part belongs to it when the one before is full, as large as the base. PBM asks for the next
 * part only from the limit on that is configured now, and would cut an object short after the limit was raised.
 *
 * @param found everything named as a part of the base, in any order
 */
export function chainOf(base: ObjectInfo, found: readonly ObjectInfo[]): Chain {
  const byIndex = new Map(found.map((info) => [parsePartName(info.name)?.index ?? 0, info]))
  const parts: ObjectInfo[] = []
  let size = base.size
  for (let before = base; before.size === base.size && base.size > 0; ) {
    const next = byIndex.get(parts.length + 1)
    // PBM may leave an empty one behind an object of just the limit.
    if (next === undefined || next.size === 0 || next.size > base.size) break
    parts.push(next)
    size += next.size
    before = next
  }
  const own = new Set(parts.map(({ name }) => name))
  return { base, parts, size, strays: found.map(({ name }) => name).filter((name) => !own.has(name)) }
}

/** Throws STORAGE_UNAVAILABLE where a part in the middle is missing: what is there would pass for the whole. */
export function requireWhole(chain: Chain): void {
  const last = chain.parts.at(-1) ?? chain.base
  if (last.size !== chain.base.size) return
  const missing = chain.parts.length + 1
  const behind = chain.strays.find((name) => (parsePartName(name)?.index ?? 0) > missing)
  if (behind === undefined || chain.strays.includes(partName(chain.base.name, missing))) return
  const text = `the object ${chain.base.name} is damaged: its part ${partName(chain.base.name, missing)} is missing, ${behind} is there`
  throw new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
}

/** The object as its readers see it. */
export function wholeObject({ base, parts, size }: Chain): ObjectInfo {
  if (parts.length === 0) return base
  const times = [base, ...parts].flatMap(({ modifiedAt }) => (modifiedAt === undefined ? [] : [modifiedAt.getTime()]))
  return { name: base.name, size, ...(times.length === 0 ? {} : { modifiedAt: new Date(Math.max(...times)) }) }
}

/** Everything named as a part of `base`. */
export async function namedAsParts(store: ObjectStore, base: string, options: CallOptions): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  for await (const info of store.list({ prefix: `${base}.pbmpart.`, ...signalOf(options) })) {
    if (parsePartName(info.name)?.base === base) found.push(info)
  }
  return found
}

/** Deletes in this order, whatever is gone already. */
export async function deleteAll(store: ObjectStore, names: readonly string[], options: CallOptions): Promise<void> {
  for (const name of names) {
    await store.delete(name, signalOf(options)).catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
  }
}

export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'STORAGE_NOT_FOUND'
}

export function signalOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal }
}
