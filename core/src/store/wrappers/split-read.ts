import { PluginError } from '../../plugin/errors.js'
import type { ObjectInfo, ReadOptions } from '../../plugin/storage.js'
import { type Chain, parsePartName, SMALLEST_BASE, signalOf } from './parts.js'
import { findWhole, type SplitContext } from './split-context.js'

/**
 * Reads across parts. Whether there are any is asked only when the base has come to its end and was large enough, except
 * where objects are cut so small that most have some: small objects cost no request more than without parts.
 */
export async function readInParts(
  context: SplitContext,
  name: string,
  options: ReadOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const { store, maxBytes } = context
  const { offset = 0, length } = options
  if (parsePartName(name) !== undefined) return store.read(name, options)
  if (maxBytes < SMALLEST_BASE) {
    const chain = await findWhole(context, name, options)
    return chain.parts.length === 0 ? store.read(name, options) : readChain(context, chain, options)
  }
  try {
    const base = await store.read(name, withoutProgress(options))
    return fromBaseOn(context, base, base.version ?? (await store.stat(name, signalOf(options))), options)
  } catch (error) {
    const isBehindBase =
      (error as { code?: unknown } | null)?.code === 'STORAGE_INVALID_RANGE' && isRange(offset, length)
    if (!isBehindBase) throw error
    const chain = await findWhole(context, name, options)
    if (offset >= chain.size) throw error
    return readChain(context, chain, options)
  }
}

/** Goes on behind the base, if there is anything. */
async function* fromBaseOn(
  context: SplitContext,
  base: AsyncIterable<Uint8Array>,
  before: ObjectInfo,
  options: ReadOptions,
): AsyncGenerator<Uint8Array> {
  const { offset = 0, length = Number.POSITIVE_INFINITY, onProgress } = options
  let given = 0
  for await (const chunk of base) {
    given += chunk.length
    onProgress?.(given)
    yield chunk
  }
  if (given >= length || offset + given < context.smallestBase) return
  const chain = await findWhole(context, before.name, options)
  if (chain.parts.length === 0) return
  if (!isSame(before, chain.base) || chain.base.size !== offset + given) throw replaced(before.name)
  const rest = { ...options, offset: offset + given, length: length - given }
  yield* await readChain(context, chain, { ...rest, onProgress: (bytes) => onProgress?.(given + bytes) })
}

/** Rejects with INVALID_RANGE before any byte flows, as every read. */
async function readChain(
  context: SplitContext,
  chain: Chain,
  options: ReadOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const { offset = 0, length } = options
  if (!isRange(offset, length) || offset >= chain.size) {
    const text = `the object ${JSON.stringify(chain.base.name)} has ${chain.size} bytes; asked for ${length ?? 'all'} bytes from byte ${offset}`
    throw new PluginError('STORAGE_INVALID_RANGE', text)
  }
  const end = Math.min(chain.size, offset + (length ?? Number.POSITIVE_INFINITY))
  const pieces: { info: ObjectInfo; offset: number; length: number }[] = []
  let position = 0
  for (const info of [chain.base, ...chain.parts]) {
    const first = Math.max(0, offset - position)
    const last = Math.min(info.size, end - position)
    if (first < last) pieces.push({ info, offset: first, length: last - first })
    position += info.size
  }
  // The first is opened at once: a caller learns here that it can't be read.
  const open = async ({ info, ...range }: (typeof pieces)[number]) => {
    const ending = new AbortController()
    const signal = AbortSignal.any([ending.signal, ...(options.signal === undefined ? [] : [options.signal])])
    try {
      const bytes = await context.store.read(info.name, { signal, ...range })
      // Parts are written after the base is gone: as long as it is the one looked at, so is what was opened.
      const base = await context.store.stat(chain.base.name, signalOf(options))
      if (isSame(base, chain.base)) return bytes
      throw replaced(chain.base.name)
    } catch (error) {
      // Not by `return()`: of a generator that nobody has asked yet, at whatever depth, no `finally` would run.
      ending.abort(error)
      throw (error as { code?: unknown } | null)?.code === 'STORAGE_NOT_FOUND' ? replaced(chain.base.name) : error
    }
  }
  const [head, ...others] = pieces
  if (head === undefined) throw replaced(chain.base.name)
  const opened = await open(head)
  return (async function* () {
    let given = 0
    for (const piece of [undefined, ...others]) {
      let expected = (piece ?? head).length
      for await (const chunk of piece === undefined ? opened : await open(piece)) {
        given += chunk.length
        expected -= chunk.length
        options.onProgress?.(given)
        yield chunk
      }
      if (expected !== 0) throw replaced(chain.base.name)
    }
  })()
}

function replaced(name: string): PluginError {
  const text = `the object ${name} was replaced or deleted while it was read`
  return new PluginError('STORAGE_UNAVAILABLE', text, { retriable: false })
}

function isSame(one: ObjectInfo, other: ObjectInfo): boolean {
  return one.size === other.size && one.modifiedAt?.getTime() === other.modifiedAt?.getTime()
}

function isRange(offset: number, length: number | undefined): boolean {
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0
  return whole(offset) && (length === undefined || length === Number.POSITIVE_INFINITY || (whole(length) && length > 0))
}

function withoutProgress({ onProgress: _, ...rest }: ReadOptions): ReadOptions {
  return rest
}
