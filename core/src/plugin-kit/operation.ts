import { setMaxListeners } from 'node:events'
import { PluginError } from '../plugin/errors.js'

/** An error of the body of a save, which goes to the caller as it is. */
export class BodyFailure extends Error {
  readonly error: unknown

  constructor(error: unknown) {
    super('the body failed')
    this.error = error
  }
}

/** How long a request that must not be cut is waited for after its operation has ended (milliseconds). */
const GRACE_MS = 5000

/** The life of one call: ended by its caller, the process, the store, or a part of it that failed. */
export class Operation {
  readonly #controller = new AbortController()
  readonly #waiting = new Set<() => void>()
  #reason: { error: unknown } | undefined

  constructor() {
    // Every request under way listens.
    setMaxListeners(0, this.#controller.signal)
  }

  /** For requests. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends the call with `error`, unless it has ended before. */
  stop(error: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { error }
    this.#controller.abort(error)
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Throws why the call has ended. */
  check(): void {
    if (this.#reason !== undefined) throw this.#reason.error
  }

  /** Settles as `work` does, or rejects as {@link check} throws, whichever is first. */
  orEnd<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const wake = () => reject(this.#reason?.error)
      if (this.#reason !== undefined) {
        work.catch(() => undefined)
        return wake()
      }
      this.#waiting.add(wake)
      work.then(
        (value) => {
          this.#waiting.delete(wake)
          resolve(value)
        },
        (error: unknown) => {
          this.#waiting.delete(wake)
          reject(error)
        },
      )
    })
  }

  /**
   * Runs a request that must not be cut in the middle, because nobody could tell then whether it took place: an end of
   * the call is heard only when it is done, or after some seconds.
   */
  async uncut<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.check()
    const late = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const begin = () => {
      timer = setTimeout(() => late.abort(this.#reason?.error), GRACE_MS)
    }
    this.#waiting.add(begin)
    try {
      return await request(late.signal)
    } catch (error) {
      if (late.signal.aborted) this.check()
      throw error
    } finally {
      this.#waiting.delete(begin)
      clearTimeout(timer)
    }
  }
}

/** Starts and ends operations; after {@link close} there are none. */
export class Operations {
  readonly #process: AbortSignal
  readonly #open = new Set<Operation>()
  readonly #running = new Set<Promise<unknown>>()
  readonly #onProcessEnd = () => {
    for (const operation of this.#open) operation.stop(aborted(this.#process))
  }
  #closed = false

  constructor(process: AbortSignal) {
    this.#process = process
    process.addEventListener('abort', this.#onProcessEnd, { once: true })
  }

  /** `end` has to be called, whatever becomes of the call. */
  start(signal: AbortSignal | undefined): { operation: Operation; end: () => void } {
    const operation = new Operation()
    this.#open.add(operation)
    const onAbort = () => {
      if (signal !== undefined) operation.stop(aborted(signal))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#closed) operation.stop(closed())
    else if (signal?.aborted === true) onAbort()
    else if (this.#process.aborted) this.#onProcessEnd()
    const end = () => {
      signal?.removeEventListener('abort', onAbort)
      this.#open.delete(operation)
    }
    return { operation, end }
  }

  /** What {@link close} waits for. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    try {
      return await work
    } finally {
      this.#running.delete(work)
    }
  }

  /** Throws STORAGE_CLOSED when the store was closed: said before anything else is looked at. */
  requireOpen(): void {
    if (this.#closed) throw closed()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#process.removeEventListener('abort', this.#onProcessEnd)
    for (const operation of this.#open) operation.stop(closed())
    await Promise.allSettled([...this.#running])
  }
}

function closed(): PluginError {
  return new PluginError('STORAGE_CLOSED', 'the storage is closed')
}

function aborted(signal: AbortSignal): PluginError {
  return new PluginError('STORAGE_ABORTED', 'the operation was aborted', { cause: signal.reason })
}
