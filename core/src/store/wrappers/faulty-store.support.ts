import { PluginError, type PluginErrorCode } from '../../plugin/errors.js'
import type {
  ListOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  SaveOptions,
  StorageCapabilities,
} from '../../plugin/storage.js'
import type { Clock } from '../../time/clock.js'

export type FaultyCall = 'save' | 'read' | 'stat' | 'list' | 'delete' | 'copy'

/** Where calls fail: asked at their begin, behind each item of a list and byte of a body, and when all is done. */
export type Fault = (call: FaultyCall, at: { name: string; moved: number; done: boolean }) => Error | undefined

/** Objects in memory, moved in chunks of some bytes, with a fault wherever the test says so. */
export class FaultyStore implements ObjectStore {
  readonly capabilities: StorageCapabilities
  readonly objects = new Map<string, { bytes: Buffer; modifiedAt: Date }>()
  readonly calls: string[] = []
  fault: Fault = () => undefined
  chunkBytes = 3
  #version = 0

  constructor(more: Partial<StorageCapabilities> = {}) {
    this.capabilities = { ifAbsent: true, serverSideCopy: true, modifiedAt: true, ...more }
  }

  put(name: string, bytes: string | Buffer): void {
    this.objects.set(name, { bytes: Buffer.from(bytes), modifiedAt: new Date(++this.#version) })
  }

  text(name: string): string | undefined {
    return this.objects.get(name)?.bytes.toString()
  }

  async save(name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}): Promise<ObjectInfo> {
    this.#begin('save', name)
    const chunks: Uint8Array[] = []
    let moved = 0
    for await (const chunk of body) {
      options.signal?.throwIfAborted()
      chunks.push(Buffer.from(chunk))
      moved += chunk.length
      options.onProgress?.(moved)
      this.#check('save', name, moved)
    }
    if (options.ifAbsent === true && this.objects.has(name)) throw new PluginError('STORAGE_EXISTS', name)
    this.#check('save', name, moved, true)
    this.put(name, Buffer.concat(chunks))
    options.onProgress?.(moved)
    return this.#info(name)
  }

  async read(name: string, options: ReadOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    this.#begin('read', name)
    const { bytes } = this.#find(name)
    const { offset = 0, length = bytes.length } = options
    if (bytes.length === 0) throw new PluginError('STORAGE_EMPTY', name)
    if (offset < 0 || offset >= bytes.length || length <= 0) throw new PluginError('STORAGE_INVALID_RANGE', name)
    return this.#bytes(name, bytes.subarray(offset, offset + length), options)
  }

  async *#bytes(name: string, bytes: Buffer, options: ReadOptions): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += this.chunkBytes) {
      this.#check('read', name, at)
      const chunk = bytes.subarray(at, at + this.chunkBytes)
      options.onProgress?.(at + chunk.length)
      yield chunk
    }
  }

  async stat(name: string): Promise<ObjectInfo> {
    this.#begin('stat', name)
    if (this.#find(name).bytes.length === 0) throw new PluginError('STORAGE_EMPTY', name)
    return this.#info(name)
  }

  async *list({ prefix = '' }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    this.#begin('list', prefix)
    let moved = 0
    for (const name of [...this.objects.keys()]) {
      this.#check('list', prefix, moved++)
      if (name.startsWith(prefix)) yield this.#info(name)
    }
  }

  async delete(name: string): Promise<void> {
    this.#begin('delete', name)
    this.#find(name)
    this.objects.delete(name)
    this.#check('delete', name, 0, true)
  }

  async copy(source: string, target: string): Promise<ObjectInfo> {
    this.#begin('copy', source)
    this.put(target, this.#find(source).bytes)
    this.#check('copy', source, 0, true)
    return this.#info(target)
  }

  async close(): Promise<void> {
    this.calls.push('close')
  }

  #begin(call: FaultyCall, name: string): void {
    this.calls.push(`${call} ${name}`)
    this.#check(call, name, 0)
  }

  #check(call: FaultyCall, name: string, moved: number, done = false): void {
    const error = this.fault(call, { name, moved, done })
    if (error !== undefined) throw error
  }

  #find(name: string): { bytes: Buffer; modifiedAt: Date } {
    const found = this.objects.get(name)
    if (found === undefined) throw new PluginError('STORAGE_NOT_FOUND', `no ${name}`)
    return found
  }

  #info(name: string): ObjectInfo {
    const { bytes, modifiedAt } = this.#find(name)
    return { name, size: bytes.length, modifiedAt }
  }
}

/** A clock on which every wait is over at once. */
export class LeapingClock implements Clock {
  readonly waits: number[] = []
  time = 1_000_000

  now(): number {
    return this.time
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.waits.push(milliseconds)
    this.time += milliseconds
  }
}

export function failure(code: PluginErrorCode = 'STORAGE_UNAVAILABLE', retriable = true): PluginError {
  return new PluginError(code, 'the test says so', { retriable })
}

/** Fails so many times wherever `where` says, then never again. */
export function failing(times: number, where: (...at: Parameters<Fault>) => boolean, error = failure()): Fault {
  let left = times
  return (...at) => (left > 0 && where(...at) && left-- > 0 ? error : undefined)
}

export async function* chunked(text: string | Buffer, bytes: number): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text)
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes)
}

export async function gathered(
  source: AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>,
): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of await source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export async function namesIn(source: AsyncIterable<ObjectInfo>): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of source) names.push(name)
  return names
}
