import { PluginError } from '../../plugin/errors.js'
import type { ObjectStore, ReadOptions, SaveOptions, TransferOptions } from '../../plugin/storage.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { bound } from '../open-store.js'

/** `backup.throttle` of the configuration: bytes per second; 0 or absent is no limit. */
export interface ThrottleConfig {
  readonly upload?: number | undefined
  readonly download?: number | undefined
}

/** Moved at once, at the most, after nothing was for a while. */
const BURST_MS = 100
/** So many pieces a second does the largest chunk come in, within these bounds (bytes): other streams get their turns. */
const PIECES_PER_SECOND = 20
const SMALLEST_PIECE = 4 * 1024
const LARGEST_PIECE = 1024 * 1024

/**
 * What all streams of one direction share: each piece takes its time after those before it, whichever stream they are of.
 */
export class Bucket {
  readonly #clock: Clock
  /** When the bytes let through so far will have taken their time. */
  #due = 0
  #last = 0
  /** Of the last who took. */
  #rate = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when `bytes` may move at `rate` bytes per second; rejects with the signal's reason when it aborts first. */
  async take(bytes: number, rate: number, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.now()
    // Where the clock was set back, everybody would wait until it is there again.
    if (now < this.#last) this.#due -= this.#last - now
    this.#last = now
    // What is still to wait for are bytes: a limit that was far too low would hold up what runs with another for hours.
    if (this.#due > now) this.#due = now + (this.#due - now) * Math.min(1, this.#rate / rate)
    this.#rate = rate
    const wait = Math.max(0, this.#due - now)
    this.#due = Math.max(this.#due, now - BURST_MS) + (bytes * 1000) / rate
    if (wait > 0) await this.#clock.sleep(wait, signal)
  }
}

export interface Buckets {
  readonly upload: Bucket
  readonly download: Bucket
}

export function newBuckets(clock: Clock): Buckets {
  return { upload: new Bucket(clock), download: new Bucket(clock) }
}

/** Of this process: an agent's operations share its network, whatever storages they go to. */
export const processBuckets: Buckets = newBuckets(systemClock)

/** The store with its bytes slowed down to `rates`; the same store where there is no limit. */
export function throttledStore(
  store: ObjectStore,
  { upload = 0, download = 0 }: ThrottleConfig,
  buckets: Buckets = processBuckets,
): ObjectStore {
  if (upload <= 0 && download <= 0) return store
  const closing = new AbortController()
  const slowed = (bytes: AsyncIterable<Uint8Array>, bucket: Bucket, rate: number, signal: AbortSignal | undefined) =>
    rate <= 0 ? bytes : paced(bytes, bucket, rate, signal, closing.signal)
  const save = (name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions = {}) =>
    store.save(name, slowed(body, buckets.upload, upload, options.signal), options)
  const read = async (name: string, options: ReadOptions = {}) => {
    // What was moved is told when it is given, not when it came.
    const { onProgress, ...rest } = options
    const bytes = slowed(await store.read(name, rest), buckets.download, download, options.signal)
    return onProgress === undefined ? bytes : told(bytes, onProgress)
  }
  return {
    ...bound(store),
    save,
    read,
    copy: async (source, target, options: TransferOptions = {}) => {
      if (store.capabilities.serverSideCopy || source === target) return store.copy(source, target, options)
      const call = options.signal === undefined ? {} : { signal: options.signal }
      const bytes = await read(source, call).catch((error: unknown) => {
        if ((error as { code?: unknown } | null)?.code === 'STORAGE_EMPTY') return undefined
        throw error
      })
      // Without bytes there is nothing to slow down.
      return bytes === undefined ? store.copy(source, target, options) : save(target, bytes, options)
    },
    close: async () => {
      closing.abort(new PluginError('STORAGE_CLOSED', 'the storage is closed'))
      await store.close()
    },
  }
}

/** No generator: told to end while the source hangs, one would pass that on only when the source has answered. */
function paced(
  bytes: AsyncIterable<Uint8Array>,
  bucket: Bucket,
  rate: number,
  signal: AbortSignal | undefined,
  closing: AbortSignal,
): AsyncIterable<Uint8Array> {
  const piece = Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, Math.floor(rate / PIECES_PER_SECOND)))
  return {
    [Symbol.asyncIterator]: () => {
      const source = bytes[Symbol.asyncIterator]()
      const ended = signal === undefined ? closing : AbortSignal.any([signal, closing])
      let rest: Uint8Array = Buffer.alloc(0)
      return {
        next: async () => {
          while (rest.length === 0) {
            const result = await source.next()
            if (result.done === true) return result
            rest = result.value
          }
          const value = rest.subarray(0, piece)
          rest = rest.subarray(piece)
          await bucket.take(value.length, rate, ended).catch((reason: unknown) => {
            void Promise.resolve(source.return?.()).catch(() => undefined)
            if (closing.aborted) throw closing.reason
            throw new PluginError('STORAGE_ABORTED', 'the operation was aborted', { cause: reason })
          })
          return { done: false, value }
        },
        return: async () => {
          await source.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}

async function* told(
  bytes: AsyncIterable<Uint8Array>,
  onProgress: (bytesSoFar: number) => void,
): AsyncGenerator<Uint8Array> {
  let moved = 0
  for await (const chunk of bytes) {
    moved += chunk.length
    onProgress(moved)
    yield chunk
  }
}
