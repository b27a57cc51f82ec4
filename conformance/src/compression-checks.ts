import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { type CompressionPlugin, hasCode, type PluginErrorCode } from '@pbmkit/core/plugin'
import { collect, whole } from './compression-samples.js'

/** Compares without printing megabytes. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what = 'what comes back'): void {
  assert.equal(actual.length, expected.length, `${what}: ${actual.length} bytes instead of ${expected.length}`)
  const difference = Buffer.compare(actual, expected) === 0 ? -1 : actual.findIndex((byte, at) => byte !== expected[at])
  assert.equal(difference, -1, `${what}: differs from byte ${difference} on`)
}

export function pack(plugin: CompressionPlugin, bytes: Uint8Array, level?: number): Promise<Buffer> {
  return collect(plugin.compress(whole(bytes), { level }))
}

export function unpack(plugin: CompressionPlugin, bytes: Uint8Array): Promise<Buffer> {
  return collect(plugin.decompress(whole(bytes)))
}

export type Outcome = { readonly bytes: Buffer } | { readonly error: unknown }

/** Decompresses and tells how that ended. */
export async function outcomeOf(plugin: CompressionPlugin, bytes: Uint8Array): Promise<Outcome> {
  try {
    return { bytes: await unpack(plugin, bytes) }
  } catch (error) {
    return { error }
  }
}

/** Checks that `error` carries one of `codes`. */
export function codeIs(error: unknown, codes: readonly PluginErrorCode[], where: string): void {
  const found = codes.some((code) => hasCode(error, code))
  assert.ok(found, `${where}: the error must carry ${codes.join(' or ')}, but is ${String(error)}`)
}

export async function refuses(work: Promise<unknown>, codes: readonly PluginErrorCode[], where: string): Promise<void> {
  const error = await work.then(
    () => assert.fail(`${where}: must be refused, but is taken`),
    (reason: unknown) => reason,
  )
  if (error instanceof assert.AssertionError) throw error
  codeIs(error, codes, where)
}

/** A source that counts what was taken and knows whether it was closed. */
export class WatchedSource implements AsyncIterable<Uint8Array> {
  bytesTaken = 0
  closed = false
  readonly #chunks: Iterable<Uint8Array>
  readonly #failure: unknown

  /** Throws `failure`, when given, after the last chunk. */
  constructor(chunks: Iterable<Uint8Array>, failure?: unknown) {
    this.#chunks = chunks
    this.#failure = failure
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.#chunks) {
        this.bytesTaken += chunk.length
        yield chunk
      }
      if (this.#failure !== undefined) throw this.#failure
    } finally {
      this.closed = true
    }
  }

  /** Waits until the source is closed; fails when that takes more turns than work under way can explain. */
  async closes(): Promise<void> {
    for (let turns = 0; turns < 1000 && !this.closed; turns++) await pause()
    assert.ok(this.closed, 'the source must be closed')
  }
}

/** Lets timers, I/O and threads go on. */
export async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1))
  await turn()
}
