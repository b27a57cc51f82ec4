import { PluginError } from '../plugin/errors.js'
import { Operation } from './operation.js'

/** Starts and ends the operations of one store; after {@link close} there are none. */
export class Operations {
  readonly #process: AbortSignal
  readonly #open = new Set<Operation>()
  readonly #running = new Set<Promise<unknown>>()
  readonly #onProcessEnd = () => {
    for (const operation of this.#open) operation.end(aborted(this.#process))
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
      if (signal !== undefined) operation.end(aborted(signal))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
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

  /** Ends every operation, and resolves when what is tracked has settled. */
  async close(): Promise<void> {
    this.#closed = true
    this.#process.removeEventListener('abort', this.#onProcessEnd)
    for (const operation of this.#open) operation.end(closed())
    await Promise.allSettled([...this.#running])
  }
}

function closed(): PluginError {
  return new PluginError('STORAGE_CLOSED', 'the storage is closed')
}

function aborted(signal: AbortSignal): PluginError {
  return new PluginError('STORAGE_ABORTED', 'the operation was aborted', { cause: signal.reason })
}
