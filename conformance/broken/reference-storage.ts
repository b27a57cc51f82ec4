import {
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PluginContext,
  PluginError,
  type ReadOptions,
  type SaveOptions,
  type StoragePlugin,
} from '@pbmkit/core/plugin'

export interface KeptObject {
  /** As they came: the bytes of a large test object are one chunk many times, and take no memory. */
  readonly chunks: readonly Uint8Array[]
  readonly size: number
  readonly modifiedAt: Date
}

export type Objects = Map<string, KeptObject>

interface MemoryOptions {
  readonly place: string
  readonly servers: readonly { readonly url: string; readonly headers: Readonly<Record<string, string>> }[]
}

/** What every connection to a place shares. */
const places = new Map<string, Objects>()
let created = 0
let newest = 0

/** Each later than the one before: what tells objects of one size apart must, also within a millisecond. */
function modificationTime(): Date {
  newest = Math.max(Date.now(), newest + 1)
  return new Date(newest)
}

export function freshPlace(): MemoryOptions {
  places.clear()
  return { place: `place ${created++}`, servers: [{ url: 'memory:', headers: { pin: 's3cr3t' } }] }
}

/** Places that can't be used. */
export const failing = {
  STORAGE_DENIED: () => ({ ...freshPlace(), place: 'locked' }),
  STORAGE_UNAVAILABLE: () => ({ ...freshPlace(), place: 'far away' }),
  STORAGE_NO_SPACE: () => ({ ...freshPlace(), place: 'full' }),
}

/** A right store that keeps its objects in memory, as plain as can be: the broken ones differ from it in one thing each. */
export class MemoryStore implements ObjectStore {
  readonly capabilities: ObjectStore['capabilities'] = { ifAbsent: true, serverSideCopy: true, modifiedAt: true }
  readonly objects: Objects
  readonly process: AbortSignal
  closed = false

  constructor(objects: Objects, process: AbortSignal) {
    this.objects = objects
    this.process = process
  }

  check(signal: AbortSignal | undefined, ...names: string[]): void {
    if (this.closed) throw new PluginError('STORAGE_CLOSED', 'closed')
    for (const name of names) this.checkName(name)
    if (signal?.aborted === true || this.process.aborted) throw new PluginError('STORAGE_ABORTED', 'aborted')
  }

  checkName(name: string): void {
    const legal =
      Buffer.byteLength(name) <= 1024 &&
      name.isWellFormed() &&
      !name.includes('\0') &&
      name.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..')
    if (!legal) throw new PluginError('STORAGE_INVALID_NAME', 'illegal name')
  }

  require(name: string): KeptObject {
    const found = this.objects.get(name)
    if (found === undefined) throw new PluginError('STORAGE_NOT_FOUND', `no ${name}`)
    return found
  }

  requireBytes(name: string): KeptObject {
    const found = this.require(name)
    if (found.size === 0) throw new PluginError('STORAGE_EMPTY', `${name} is empty`)
    return found
  }

  async save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    this.check(options.signal, name)
    const chunks: Uint8Array[] = []
    let size = 0
    const room = this.objects === places.get('full') ? 1024 * 1024 : Number.POSITIVE_INFINITY
    for await (const chunk of abortable(body, [options.signal, this.process])) {
      chunks.push(chunk)
      size += chunk.length
      if (size > room) throw new PluginError('STORAGE_NO_SPACE', 'the place is full')
      options.onProgress?.(size)
    }
    this.check(options.signal)
    if (options.ifAbsent === true && this.objects.has(name)) throw new PluginError('STORAGE_EXISTS', `${name} exists`)
    return this.keep(name, { chunks, size, modifiedAt: modificationTime() }, options)
  }

  keep(name: string, kept: KeptObject, options: SaveOptions): ObjectInfo {
    this.objects.set(name, kept)
    options.onProgress?.(kept.size)
    return { name, size: kept.size, modifiedAt: kept.modifiedAt }
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    this.check(options.signal, name)
    const { chunks, size } = this.requireBytes(name)
    const { offset = 0, length = size } = options
    const legal = Number.isInteger(offset) && offset >= 0 && offset < size && Number.isInteger(length) && length > 0
    if (!legal) throw new PluginError('STORAGE_INVALID_RANGE', 'no such range')
    return this.bytes(chunks, offset, Math.min(size, offset + length), options)
  }

  async *bytes(
    chunks: readonly Uint8Array[],
    first: number,
    end: number,
    options: ReadOptions,
  ): AsyncGenerator<Uint8Array> {
    let position = 0
    let given = 0
    for (const chunk of chunks) {
      this.check(options.signal)
      const part = chunk.subarray(Math.max(0, first - position), Math.max(0, end - position))
      position += chunk.length
      if (part.length === 0) continue
      given += part.length
      options.onProgress?.(given)
      yield part
    }
  }

  async stat(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<ObjectInfo> {
    this.check(options.signal, name)
    const { size, modifiedAt } = this.requireBytes(name)
    return { name, size, modifiedAt }
  }

  async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    this.check(options.signal)
    for (const [name, { size, modifiedAt }] of [...this.objects]) {
      if (!name.startsWith(options.prefix ?? '')) continue
      this.check(options.signal)
      yield { name, size, modifiedAt }
    }
  }

  async delete(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.check(options.signal, name)
    this.require(name)
    this.objects.delete(name)
  }

  async copy(source: string, target: string, options: SaveOptions = {}): Promise<ObjectInfo> {
    this.check(options.signal, source, target)
    return this.keep(target, { ...this.require(source), modifiedAt: modificationTime() }, options)
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

/** The chunks of `body` until a signal aborts; a body that hangs is left behind. */
async function* abortable(
  body: AsyncIterable<Uint8Array>,
  signals: readonly (AbortSignal | undefined)[],
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]()
  const signal = AbortSignal.any(signals.filter((each) => each !== undefined))
  const end = Promise.withResolvers<never>()
  end.promise.catch(() => undefined)
  signal.addEventListener('abort', () => end.reject(new PluginError('STORAGE_ABORTED', 'aborted')), { once: true })
  try {
    for (;;) {
      const next = await Promise.race([chunks.next(), end.promise])
      if (next.done === true) return
      yield next.value
    }
  } finally {
    if (signal.aborted) void chunks.return?.()
  }
}

/** A plugin whose connections are made by `make`. */
export function memoryPlugin(
  make: (objects: Objects, context: PluginContext) => ObjectStore,
): StoragePlugin<MemoryOptions> {
  return {
    kind: 'storage',
    name: 'memory',
    apiVersion: 1,
    optionsSchema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        place: { type: 'string', identity: true },
        servers: {
          type: 'array',
          items: {
            type: 'object',
            additionalProperties: false,
            properties: {
              url: { type: 'string' },
              headers: { type: 'object', additionalProperties: { type: 'string', writeOnly: true } },
            },
          },
        },
      },
    },
    open: async ({ place }, context) => {
      if (place === 'locked') throw new PluginError('STORAGE_DENIED', 'the pin is not that of this place')
      if (place === 'far away') throw new PluginError('STORAGE_UNAVAILABLE', 'nobody answers')
      const objects: Objects = places.get(place) ?? new Map()
      places.set(place, objects)
      return make(objects, context)
    },
    describe: ({ place }) => place,
  }
}

export const reference = memoryPlugin((objects, context) => new MemoryStore(objects, context.signal))
