import assert from 'node:assert/strict'
import {
  hasCode,
  type ObjectStore,
  type PluginContext,
  type StorageErrorCode,
  type StoragePlugin,
} from '@pbmkit/core/plugin'
import type { TestRunner } from '../runner.js'

/** The codes of what goes wrong around a storage, which only a test of its own can bring about. */
export const REFUSALS = ['STORAGE_DENIED', 'STORAGE_UNAVAILABLE', 'STORAGE_NO_SPACE'] as const
export type Refusal = (typeof REFUSALS)[number]

/** What the cases of one plugin share. */
export interface StorageBench {
  readonly it: TestRunner['it']
  // biome-ignore lint/suspicious/noExplicitAny: the suite takes plugins of every options type
  readonly plugin: StoragePlugin<any>
  /** Options of a store of its own, empty, for each call. */
  readonly options: () => object | Promise<object>
  /** See `StorageSuiteOptions`. */
  readonly reservedNameBytes?: number | undefined
  /** See `StorageSuiteOptions`. */
  readonly failing?: { readonly [Code in Refusal]?: () => object | Promise<object> } | undefined
}

export interface Place {
  readonly store: ObjectStore
  /** Opens the same place once more, as another process would. */
  open(context?: Partial<PluginContext>): Promise<ObjectStore>
}

/** A case with an empty store; all that it opened is closed when it ends. */
export function storeCase(bench: StorageBench, title: string, body: (place: Place) => Promise<void>): void {
  bench.it(title, async () => {
    const options = await bench.options()
    const opened: ObjectStore[] = []
    const open = async (context: Partial<PluginContext> = {}) => {
      const store = await bench.plugin.open(options, {
        signal: new AbortController().signal,
        warn: () => undefined,
        ...context,
      })
      opened.push(store)
      return store
    }
    try {
      await body({ store: await open(), open })
    } finally {
      for (const store of opened) await store.close()
    }
  })
}

/** Bytes in which every four differ from those elsewhere, so that a block in the wrong place shows. */
export function sample(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let index = 0; index < words.length; index++)
    words[index] = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)
  return Buffer.from(words.buffer, 0, length)
}

/** A body of chunks of `chunkBytes`. */
export async function* body(bytes: Uint8Array, chunkBytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) yield bytes.subarray(offset, offset + chunkBytes)
}

export function put(store: ObjectStore, name: string, content: string | Uint8Array = name) {
  return store.save(name, body(typeof content === 'string' ? Buffer.from(content) : content))
}

export async function get(
  store: ObjectStore,
  name: string,
  options?: Parameters<ObjectStore['read']>[1],
): Promise<Buffer> {
  return collect(await store.read(name, options))
}

export async function text(store: ObjectStore, name: string): Promise<string> {
  return (await get(store, name)).toString()
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Takes all that an iterable gives. */
export async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

/** The names that a list gives, sorted; fails when one comes twice. */
export async function names(store: ObjectStore, prefix?: string): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list(prefix === undefined ? {} : { prefix })) found.push(name)
  assert.equal(new Set(found).size, found.length, 'an object is listed twice')
  return found.sort()
}

/** Checks that nothing of `name` can be seen, in any way. */
export async function absent(store: ObjectStore, name: string): Promise<void> {
  await rejects(store.stat(name), 'STORAGE_NOT_FOUND', `stat of ${name}`)
  await rejects(store.read(name), 'STORAGE_NOT_FOUND', `read of ${name}`)
  assert.deepEqual(await names(store, name), [], `${name} is listed`)
}

export function same(actual: Uint8Array, expected: Uint8Array, what = 'the object'): void {
  assert.equal(actual.length, expected.length, `${what} has ${actual.length} bytes instead of ${expected.length}`)
  const at = Buffer.compare(actual, expected) === 0 ? -1 : actual.findIndex((byte, index) => byte !== expected[index])
  assert.equal(at, -1, `${what} differs from byte ${at} on`)
}

/** Checks that `work` is refused with `code`, by an error as the contract has it. */
export async function rejects(work: Promise<unknown>, code: StorageErrorCode, what = 'the call'): Promise<Error> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if (!('error' in outcome)) {
    await discard(outcome.value)
    assert.fail(`${what} must be refused with ${code}, but succeeds`)
  }
  return isError(outcome.error, code, what)
}

export function isError(error: unknown, code: StorageErrorCode, what: string): Error {
  assert.ok(hasCode(error, code), `${what} must be refused with ${code}, but is with: ${shown(error)}`)
  assert.ok(error instanceof Error, `${what}: what is thrown is not an Error`)
  assert.notEqual(error.message, '', `${what}: the error says nothing`)
  assert.equal(
    typeof (error as { retriable?: unknown }).retriable,
    'boolean',
    `${what}: the error does not say if it is retriable`,
  )
  return error
}

function shown(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return `${code === undefined ? '' : `${String(code)} `}${String(error)}`
}

async function discard(value: unknown): Promise<void> {
  const iterator = (value as Partial<AsyncIterable<unknown>> | null)?.[Symbol.asyncIterator]?.()
  await iterator?.next()
  await iterator?.return?.()
}

/** A body that stops after some chunks and goes on when told: what is under way can be looked at. */
export class PausedBody implements AsyncIterable<Uint8Array> {
  stopped = false
  readonly paused: Promise<void>
  readonly #chunks: readonly Uint8Array[]
  readonly #pauseAt: number
  #reachPause: () => void = () => undefined
  #goOn: () => void = () => undefined
  readonly #resumed: Promise<void>

  constructor(chunks: readonly Uint8Array[], pauseAt = chunks.length) {
    this.#chunks = chunks
    this.#pauseAt = pauseAt
    this.paused = new Promise((resolve) => {
      this.#reachPause = resolve
    })
    this.#resumed = new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  resume(): void {
    this.#goOn()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let index = 0
    return {
      next: async () => {
        if (index === this.#pauseAt) {
          this.#reachPause()
          await this.#resumed
        }
        const value = this.#chunks[index++]
        return value === undefined ? { done: true, value: undefined } : { done: false, value }
      },
      return: async () => {
        this.stopped = true
        return { done: true, value: undefined }
      },
    }
  }
}

/** How names look in titles. */
export function titleOf(name: string): string {
  const shown = JSON.stringify(name)
  return shown.length > 48 ? `${shown.slice(0, 40)}…" (${Buffer.byteLength(name)} bytes)` : shown
}
