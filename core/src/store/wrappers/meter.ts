import type { Transfer } from '../../control/backup-document.js'
import { hasCode } from '../../plugin/errors.js'
import type { ObjectInfo, ReadOptions, SaveOptions, TransferOptions } from '../../plugin/storage.js'
import { noteBufferMade } from '../../plugin-kit/young-buffers.js'
import type { Clock } from '../../time/clock.js'
import type { CallFigures, MeteredCall, OpenStore, TransferFigures } from '../open-store.js'
import { tellStorageCall } from './storage-calls.js'

/** Counts what is done with one open store. */
export class Meter {
  readonly #clock: Clock
  readonly #figures: Record<MeteredCall, Counter>
  #retries = 0

  constructor(clock: Clock) {
    this.#clock = clock
    const counter = (call: MeteredCall) => new Counter(clock, call)
    this.#figures = {
      ...{ save: counter('save'), read: counter('read'), stat: counter('stat') },
      ...{ list: counter('list'), delete: counter('delete'), copy: counter('copy') },
    }
  }

  countRetry(): void {
    this.#retries += 1
    tellStorageCall({ kind: 'retried' })
  }

  begin(call: MeteredCall): Counted {
    return this.#figures[call].begin()
  }

  figures(): TransferFigures {
    const { save, read, stat, list, delete: deleted, copy } = this.#figures
    const now = this.#clock.now()
    return {
      ...{ save: save.figures(now), read: read.figures(now), stat: stat.figures(now), list: list.figures(now) },
      ...{ delete: deleted.figures(now), copy: copy.figures(now) },
      retries: this.#retries,
    }
  }
}

/** One call under way. */
export interface Counted {
  add(bytes: number): void
  /** With what it failed by, if it did. */
  end(failure?: { readonly error: unknown }): void
}

class Counter {
  readonly #clock: Clock
  readonly #call: MeteredCall
  #calls = 0
  #errors = 0
  #bytes = 0
  #busyMs = 0
  #running = 0
  #since = 0

  constructor(clock: Clock, call: MeteredCall) {
    this.#clock = clock
    this.#call = call
  }

  begin(): Counted {
    const call = this.#call
    const begun = this.#clock.now()
    this.#calls += 1
    if (this.#running++ === 0) this.#since = begun
    let ended = false
    return {
      add: (bytes) => {
        this.#bytes += bytes
        tellStorageCall({ kind: 'moved', call, bytes })
      },
      end: (failure) => {
        if (ended) return
        ended = true
        const now = this.#clock.now()
        if (failure !== undefined) this.#errors += 1
        if (--this.#running === 0) this.#busyMs += now - this.#since
        const failed = failure !== undefined && !hasCode(failure.error, 'STORAGE_NOT_FOUND')
        tellStorageCall({ kind: 'ended', call, millis: now - begun, failed })
      },
    }
  }

  figures(now: number): CallFigures {
    const running = this.#running === 0 ? 0 : now - this.#since
    const busyMs = this.#busyMs + running
    return { calls: this.#calls, errors: this.#errors, bytes: this.#bytes, busyMs }
  }
}

/** What a backup's record keeps of it. */
export function transferOf(figures: TransferFigures | undefined): Transfer | undefined {
  if (figures === undefined) return undefined
  const { calls, errors, bytes, busyMs } = figures.save
  return { objects: calls - errors, bytes, millis: Math.round(busyMs), retries: figures.retries }
}

/** One line for the log, `''` where no bytes were moved: `stored 35 objects, 12.3 MiB at 54.1 MiB/s`. */
export function transferText(figures: TransferFigures | undefined): string {
  if (figures === undefined) return ''
  const said = (verb: string, { calls, errors, bytes, busyMs }: CallFigures) => {
    if (bytes === 0) return []
    const speed = (bytes * 1000) / Math.max(1, busyMs)
    return [`${verb} ${calls - errors} objects, ${mebibytes(bytes)} MiB at ${mebibytes(speed)} MiB/s`]
  }
  const moved = [...said('stored', figures.save), ...said('read', figures.read)]
  if (moved.length === 0) return ''
  return [...moved, ...(figures.retries === 0 ? [] : [`${figures.retries} failures were tried again`])].join('; ')
}

function mebibytes(bytes: number): string {
  const value = bytes / 1024 ** 2
  return value >= 0.1 || value === 0 ? value.toFixed(1) : value.toPrecision(1)
}

/** The store with every call counted by `meter`. */
export function meteredStore(store: OpenStore, meter: Meter): OpenStore {
  const counted = async <T>(call: MeteredCall, work: (counted: Counted) => Promise<T>): Promise<T> => {
    const running = meter.begin(call)
    try {
      const result = await work(running)
      running.end()
      return result
    } catch (error) {
      running.end({ error })
      throw error
    }
  }
  return {
    capabilities: store.capabilities,
    save: (name, body, options: SaveOptions = {}) =>
      counted('save', (running) => {
        let sent = 0
        const onProgress = (bytes: number) => {
          running.add(bytes - sent)
          // Packets and what they are sealed into: libraries make at least as much of what they send.
          noteBufferMade(bytes - sent)
          sent = bytes
          options.onProgress?.(bytes)
        }
        return store.save(name, body, { ...options, onProgress })
      }),
    read: async (name, options: ReadOptions = {}) => {
      const running = meter.begin('read')
      try {
        return each(await store.read(name, options), running, ({ length }) => {
          // Whatever the storage, each chunk is memory of its own.
          noteBufferMade(length)
          return length
        })
      } catch (error) {
        running.end({ error })
        throw error
      }
    },
    stat: (name, options) => counted('stat', () => store.stat(name, options)),
    list: (options) => listed(() => store.list(options), meter),
    delete: (name, options) => counted('delete', () => store.delete(name, options)),
    copy: (source, target, options: TransferOptions = {}) =>
      counted('copy', async (running) => {
        const info = await store.copy(source, target, options)
        running.add(info.size)
        return info
      }),
    close: () => store.close(),
    figures: () => meter.figures(),
    strayParts: store.strayParts,
  }
}

async function* listed(open: () => AsyncIterable<ObjectInfo>, meter: Meter): AsyncGenerator<ObjectInfo> {
  yield* each(open(), meter.begin('list'), () => 0)
}

async function* each<T>(source: AsyncIterable<T>, running: Counted, bytes: (item: T) => number): AsyncGenerator<T> {
  try {
    for await (const item of source) {
      const moved = bytes(item)
      if (moved > 0) running.add(moved)
      yield item
    }
  } catch (error) {
    running.end({ error })
    throw error
  } finally {
    running.end()
  }
}
