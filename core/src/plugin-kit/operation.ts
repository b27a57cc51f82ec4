import { setMaxListeners } from 'node:events'

/** How long a request that must not be cut is waited for after its operation has ended (milliseconds). */
const GRACE_MS = 5000

/** The life of one call: ended by its caller, the process, the store, the body of a save, or a part of it that failed. */
export class Operation {
  readonly #controller = new AbortController()
  readonly #waiting = new Set<() => void>()
  #reason: { error: unknown } | undefined
  #endedFromOutside = false

  constructor() {
    // Every request under way listens.
    setMaxListeners(0, this.#controller.signal)
  }

  /** For requests. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Why the call was ended from outside the plugin; `undefined` where it was not. Goes to the caller as it is. */
  get endedBy(): { readonly error: unknown } | undefined {
    return this.#endedFromOutside ? this.#reason : undefined
  }

  /** Ends the call because a part of its own work failed with `error`, unless it has ended before. */
  stop(error: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { error }
    this.#controller.abort(error)
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** As {@link stop}, for what is no fault of the plugin's. For `defineStore` alone. */
  end(error: unknown): void {
    if (this.#reason !== undefined) return
    this.#endedFromOutside = true
    this.stop(error)
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

  /**
   * What `source` yields, until the call ends: also while `source` hangs. Then, and when the reader breaks off, `source`
   * is told to stop and not waited for. `onFailure` hears an error of `source` before anybody else.
   */
  each<T>(source: AsyncIterable<T>, onFailure?: (error: unknown) => void): AsyncIterableIterator<T, undefined> {
    const items = source[Symbol.asyncIterator]()
    const over = { done: true, value: undefined } as const
    let isOver = false
    let interrupt = (): void => undefined
    const wake = () => interrupt()
    const finish = () => {
      isOver = true
      this.#waiting.delete(wake)
    }
    const leave = () => {
      if (isOver) return
      finish()
      void (async () => items.return?.())().catch(() => undefined)
    }
    // By hand, with one waiting entry for all: a body may have a million chunks, and each would cost as much again.
    const next = () =>
      new Promise<IteratorResult<T, undefined>>((resolve, reject) => {
        interrupt = () => {
          leave()
          reject(this.#reason?.error)
        }
        if (this.#reason !== undefined) return interrupt()
        if (isOver) return resolve(over)
        const fail = (error: unknown) => {
          finish()
          onFailure?.(error)
          reject(error)
        }
        try {
          items.next().then((result) => {
            if (result.done !== true) return resolve(result)
            finish()
            if (this.#reason === undefined) resolve(over)
            else reject(this.#reason.error)
          }, fail)
        } catch (error) {
          fail(error)
        }
      })
    this.#waiting.add(wake)
    const iterator = {
      next,
      return: async () => {
        leave()
        return over
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }
}
