import { PluginError } from '@pbmkit/core/plugin'
import { translated } from './errors.js'

/** An error of the body of a save, which goes to the caller as it is. */
export class BodyFailure extends Error {
  readonly error: unknown

  constructor(error: unknown) {
    super('the body failed')
    this.error = error
  }
}

/** The life of one call: ends early when its caller, the process or the store says so. */
export interface Operation {
  /** Throws STORAGE_ABORTED or STORAGE_CLOSED once the call has to end. */
  check(): void
  /** `orEnd` settles as `waiting` does, or rejects as {@link check} throws, whichever is first; until `stop`, one at a time. */
  interruptible(): { orEnd<T>(waiting: Promise<T>): Promise<T>; stop(): void }
  onEnd(listener: () => void): () => void
}

/** Starts and ends operations; after {@link close} there are none. */
export class Operations {
  readonly #process: AbortSignal
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(process: AbortSignal) {
    this.#process = process
  }

  start(signal: AbortSignal | undefined): Operation {
    const closing = this.#closing.signal
    const signals = signal === undefined ? [this.#process] : [signal, this.#process]
    const check = () => {
      if (closing.aborted) throw new PluginError('STORAGE_CLOSED', 'the storage is closed')
      const cause = signals.find(({ aborted }) => aborted)?.reason
      if (signals.some(({ aborted }) => aborted))
        throw new PluginError('STORAGE_ABORTED', 'the operation was aborted', { cause })
    }
    const onEnd = (listener: () => void) => {
      const all = [closing, ...signals]
      for (const each of all) each.addEventListener('abort', listener, { once: true })
      return () => {
        for (const each of all) each.removeEventListener('abort', listener)
      }
    }
    const interruptible = () => {
      let interrupt: (() => void) | undefined
      // One listener for all that is waited for: a body may have a million chunks.
      const stop = onEnd(() => interrupt?.())
      const orEnd = <T>(waiting: Promise<T>): Promise<T> =>
        new Promise((resolve, reject) => {
          interrupt = () => {
            try {
              check()
            } catch (error) {
              reject(error)
            }
          }
          waiting.then(resolve, reject)
        })
      return { orEnd, stop }
    }
    return { check, interruptible, onEnd }
  }

  /** Runs a call to its end, which {@link close} waits for. Errors of the system come out as errors of a storage. */
  async run<T>(
    signal: AbortSignal | undefined,
    path: string,
    doing: string,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    const operation = this.start(signal)
    const running = (async () => {
      operation.check()
      try {
        return await work(operation)
      } catch (error) {
        throw error instanceof BodyFailure ? error.error : translated(error, path, doing)
      }
    })()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Throws STORAGE_CLOSED when the store was closed: said before anything else is looked at. */
  requireOpen(): void {
    if (this.#closing.signal.aborted) throw new PluginError('STORAGE_CLOSED', 'the storage is closed')
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled([...this.#running])
  }
}
