import { PluginError } from '../../plugin/errors.js'
import type {
  CallOptions,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  ReadOptions,
  SaveOptions,
  TransferOptions,
} from '../../plugin/storage.js'
import type { Clock } from '../../time/clock.js'
import { ReplayableBody } from './replayable-body.js'

export interface RetryOptions {
  readonly clock: Clock
  /** Aborted when the process shuts down: no wait outlives it. */
  readonly signal: AbortSignal
  /** How long a call is tried again after its first failure (milliseconds); a read counts anew whenever bytes came. */
  readonly deadlineMs?: number
  /** From 0 to 1; `Math.random` unless a test says otherwise. */
  readonly random?: () => number
  /** Told before each wait. */
  readonly onRetry?: (retry: Retry) => void
}

export interface Retry {
  /** `save`, `read` … and the object or prefix. */
  readonly call: string
  readonly error: unknown
  /** Of tries that failed, this one included. */
  readonly failures: number
  readonly waitMs: number
}

const DEADLINE_MS = 30_000
const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 5_000

/** The bytes of an object. */
export interface VersionedBytes extends AsyncIterable<Uint8Array> {
  /** The object as it was when it was opened; absent where nobody knows. */
  readonly version?: ObjectInfo | undefined
}

/** A store that tells of which object it reads. Any store is one that does not. */
export interface VersionedStore extends ObjectStore {
  read(name: string, options?: ReadOptions): Promise<VersionedBytes>
}

/**
 * The store with every call tried again, after waits of random length, when it fails with an error that calls itself
 * `retriable`. Written as a loop around the injected clock, since p-retry knows the system's timers only.
 *
 * - `save` can't ask its body for bytes twice. The first MiB is kept, so small objects are simply sent again; of a larger
 *   one, parts that fail are the plugin's own to send again, since only it has them still.
 * - `save({ifAbsent})` whose answer was lost finds its own object and says EXISTS: the safe one of two mistakes.
 * - `read` goes on at the byte where it broke, if size and time of the object are what they were.
 * - `list` begins anew and passes over what it gave already.
 * - A `delete` that finds nothing after a failure has done its work.
 */
export function retriedStore(store: ObjectStore, options: RetryOptions): VersionedStore {
  const closing = new AbortController()
  const tries = (call: string, signal: AbortSignal | undefined) => new Tries(call, signal, closing.signal, options)
  const retried = async <T>(
    call: string,
    signal: AbortSignal | undefined,
    work: (isFirst: boolean) => Promise<T>,
    mayRetry: () => boolean = () => true,
  ): Promise<T> => {
    const attempts = tries(call, signal)
    for (let isFirst = true; ; isFirst = false) {
      try {
        return await work(isFirst)
      } catch (error) {
        if (!mayRetry()) throw error
        await attempts.after(error)
      }
    }
  }
  return {
    capabilities: store.capabilities,
    save: async (name, body, options: SaveOptions = {}) => {
      const replayable = new ReplayableBody(body)
      try {
        const growing = onlyGrowing(options)
        const save = () => store.save(name, replayable, growing)
        return await retried(`save of ${name}`, options.signal, save, () => replayable.canReplay)
      } finally {
        replayable.stop()
      }
    },
    read: async (name, options: ReadOptions = {}) => {
      // Asked for side by side, since it costs time otherwise, and known before the first byte is given.
      const looking = store.stat(name, signalOf(options)).catch(() => undefined)
      const opened = await retried(`read of ${name}`, options.signal, () => store.read(name, options))
      const version = await looking
      const bytes = resumed(store, name, options, { opened, version }, tries(`read of ${name}`, options.signal))
      return Object.assign(bytes, { version })
    },
    stat: (name, options: CallOptions = {}) =>
      retried(`stat of ${name}`, options.signal, () => store.stat(name, options)),
    list: (options: ListOptions = {}) =>
      listed(store, options, tries(`list of ${options.prefix ?? 'all'}`, options.signal)),
    delete: (name, options: CallOptions = {}) =>
      retried(`delete of ${name}`, options.signal, async (isFirst) => {
        try {
          await store.delete(name, options)
        } catch (error) {
          if (isFirst || codeOf(error) !== 'STORAGE_NOT_FOUND') throw error
        }
      }),
    copy: (source, target, options: TransferOptions = {}) =>
      retried(`copy of ${source}`, options.signal, () => store.copy(source, target, options)),
    close: async () => {
      closing.abort(new PluginError('STORAGE_CLOSED', 'the storage is closed'))
      await store.close()
    },
  }
}

/** The failures of one call. */
class Tries {
  readonly #call: string
  readonly #signals: readonly AbortSignal[]
  readonly #options: RetryOptions
  readonly #signal: AbortSignal | undefined
  readonly #closing: AbortSignal
  #failures = 0
  /** Since the first failure (milliseconds); nothing while the clock is set back. */
  #spent = 0
  #last = 0

  constructor(call: string, signal: AbortSignal | undefined, closing: AbortSignal, options: RetryOptions) {
    this.#call = call
    this.#signal = signal
    this.#closing = closing
    this.#options = options
    this.#signals = [options.signal, closing, ...(signal === undefined ? [] : [signal])]
  }

  /** The call has got on: what fails from now on is another failure. */
  reset(): void {
    this.#failures = 0
  }

  /** Waits until it is time for another try; throws `error` when there is none, and why the wait was ended. */
  async after(error: unknown): Promise<void> {
    const { clock, deadlineMs = DEADLINE_MS, random = Math.random, onRetry } = this.#options
    if (!isRetriable(error)) throw error
    const now = clock.now()
    this.#spent = this.#failures === 0 ? 0 : this.#spent + Math.max(0, now - this.#last)
    this.#last = now
    this.#failures += 1
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.#failures - 1, 20))
    // Between half of it and all: agents that failed together come back apart, and none comes back at once.
    const waitMs = longest * (0.5 + random() / 2)
    if (this.#spent + waitMs > deadlineMs) throw error
    onRetry?.({ call: this.#call, error, failures: this.#failures, waitMs })
    this.#throwIfEnded()
    await clock.sleep(waitMs, AbortSignal.any([...this.#signals])).catch((reason: unknown) => {
      this.#throwIfEnded()
      throw reason
    })
  }

  #throwIfEnded(): void {
    if (this.#closing.aborted) throw this.#closing.reason
    const ended = [this.#signal, this.#options.signal].find((signal) => signal?.aborted === true)
    if (ended === undefined) return
    throw new PluginError('STORAGE_ABORTED', `${this.#call}: aborted`, { cause: ended.reason })
  }
}

async function* listed(store: ObjectStore, options: ListOptions, tries: Tries): AsyncGenerator<ObjectInfo> {
  // Of names, since a store may list in any order.
  const given = new Set<string>()
  for (;;) {
    try {
      for await (const info of store.list(options)) {
        if (given.has(info.name)) continue
        given.add(info.name)
        tries.reset()
        yield info
      }
      return
    } catch (error) {
      await tries.after(error)
    }
  }
}

async function* resumed(
  store: ObjectStore,
  name: string,
  options: ReadOptions,
  { opened, version }: { opened: AsyncIterable<Uint8Array>; version: ObjectInfo | undefined },
  tries: Tries,
): AsyncGenerator<Uint8Array> {
  const { offset = 0, length, onProgress } = options
  const call = signalOf(options)
  let source = opened
  let given = 0
  for (;;) {
    try {
      for await (const chunk of source) {
        given += chunk.length
        tries.reset()
        yield chunk
      }
      return
    } catch (error) {
      // It broke behind the last byte: there is nothing left to ask for.
      const wanted = version === undefined ? Number.NaN : Math.min(length ?? version.size, version.size - offset)
      if (given >= wanted && isRetriable(error)) return
      // Nobody can tell then whether the bytes behind are of the same object.
      if (given > 0 && version === undefined) throw error
      await tries.after(error)
      source = await reopened(error, given > 0 ? version : undefined)
    }
  }

  async function reopened(broken: unknown, before: ObjectInfo | undefined): Promise<AsyncIterable<Uint8Array>> {
    for (;;) {
      try {
        if (before !== undefined) await requireSame(broken, before)
        return await store.read(name, {
          ...call,
          offset: offset + given,
          ...(length === undefined ? {} : { length: length - given }),
          ...(onProgress === undefined ? {} : { onProgress: progressFrom(given, onProgress) }),
        })
      } catch (error) {
        await tries.after(error)
      }
    }
  }

  async function requireSame(broken: unknown, before: ObjectInfo): Promise<void> {
    const now = await store.stat(name, call).catch((error: unknown) => {
      if (codeOf(error) === 'STORAGE_NOT_FOUND' || codeOf(error) === 'STORAGE_EMPTY') return undefined
      throw error
    })
    if (now?.size === before.size && now.modifiedAt?.getTime() === before.modifiedAt?.getTime()) return
    const text = `reading ${name} broke after ${given} bytes, and by now the object was ${now === undefined ? 'deleted' : 'replaced'}`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: broken, retriable: false })
  }
}

/** Bytes that are sent once more are no progress. */
function onlyGrowing({ onProgress, ...rest }: SaveOptions): SaveOptions {
  if (onProgress === undefined) return rest
  let most = -1
  const tell = (bytes: number) => {
    if (bytes <= most) return
    most = bytes
    onProgress(bytes)
  }
  return { ...rest, onProgress: tell }
}

function progressFrom(start: number, onProgress: (bytes: number) => void): (bytes: number) => void {
  return (bytes) => onProgress(start + bytes)
}

function signalOf({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal }
}

function isRetriable(error: unknown): boolean {
  return (error as { retriable?: unknown } | null)?.retriable === true
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code
}
