import type { CallOptions, ObjectInfo, SaveOptions } from '../../plugin/storage.js'
import { partName, signalOf } from './parts.js'
import { abandon, makeRoom, type SplitContext, summed } from './split-context.js'

/** Stores a body of unknown length: one object, or parts from its `maxBytes` on. */
export async function saveInParts(
  context: SplitContext,
  name: string,
  body: AsyncIterable<Uint8Array>,
  options: SaveOptions,
): Promise<ObjectInfo> {
  const saving = new Saving(context, name, body, options)
  try {
    return await saving.run()
  } catch (error) {
    await saving.abandon()
    throw error
  }
}

class Saving {
  readonly #context: SplitContext
  readonly #name: string
  readonly #options: SaveOptions
  readonly #source: CutSource
  readonly #progress: () => (bytes: number) => void
  /** Ended when the base fails, so that parts under way do not outlive it. */
  readonly #ending = new AbortController()
  readonly #call: CallOptions
  readonly #written: string[] = []
  #size = 0
  #rest: Promise<void> | undefined

  constructor(context: SplitContext, name: string, body: AsyncIterable<Uint8Array>, options: SaveOptions) {
    this.#context = context
    this.#name = name
    this.#options = options
    this.#source = new CutSource(body)
    this.#progress = summed(options)
    const { signal } = options
    const { signal: ending } = this.#ending
    this.#call = { signal: signal === undefined ? ending : AbortSignal.any([signal, ending]) }
  }

  async run(): Promise<ObjectInfo> {
    const { store, maxBytes } = this.#context
    const { signal, sizeHint, ifAbsent } = this.#options
    const base = await store.save(
      this.#name,
      this.#piece(maxBytes, () => this.#beforeEnd()),
      {
        ...signalOf({ signal }),
        ...(ifAbsent === undefined ? {} : { ifAbsent }),
        ...(sizeHint === undefined ? {} : { sizeHint: Math.min(sizeHint, maxBytes) }),
        onProgress: this.#progress(),
      },
    )
    return { ...base, size: this.#size }
  }

  async abandon(): Promise<void> {
    this.#ending.abort()
    this.#source.stop()
    await this.#rest?.catch(() => undefined)
    // What was there before is gone since the first part; with ifAbsent the name may be another writer's.
    const baseBytes = this.#options.ifAbsent === true ? undefined : this.#context.maxBytes
    await abandon(this.#context, this.#name, this.#written, baseBytes)
  }

  /** The base has all its bytes and is not visible yet: everything else is stored now. */
  #beforeEnd(): Promise<void> {
    this.#rest ??= this.#storeRest()
    return this.#rest
  }

  async #storeRest(): Promise<void> {
    const { store, maxBytes, smallestBase } = this.#context
    const { sizeHint, ifAbsent } = this.#options
    const inParts = this.#size === maxBytes && (await this.#source.hasMore())
    if (!inParts && this.#size < smallestBase) return
    // With ifAbsent nobody's parts may be touched: the first part is then what two writers compete for.
    if (ifAbsent !== true) await makeRoom(this.#context, this.#name, inParts, this.#call)
    if (!inParts) return
    for (let index = 1; await this.#source.hasMore(); index++) {
      const name = partName(this.#name, index)
      const claims = ifAbsent === true && index === 1
      if (!claims) this.#written.push(name)
      await store.save(name, this.#piece(maxBytes), {
        ...this.#call,
        ...(claims ? { ifAbsent } : {}),
        ...(sizeHint === undefined ? {} : { sizeHint: Math.max(0, Math.min(maxBytes, sizeHint - index * maxBytes)) }),
        onProgress: this.#progress(),
      })
      if (claims) this.#written.push(name)
    }
  }

  /** The next bytes of the body, at most `limit` of them; `beforeEnd` is waited for before the end is told. */
  #piece(limit: number, beforeEnd: () => Promise<void> = async () => undefined): AsyncIterable<Uint8Array> {
    let left = limit
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      const value = left === 0 ? undefined : await this.#source.take(left)
      if (value === undefined) {
        await beforeEnd()
        return { done: true, value: undefined }
      }
      left -= value.length
      this.#size += value.length
      return { done: false, value }
    }
    return { [Symbol.asyncIterator]: () => ({ next, return: async () => ({ done: true, value: undefined }) }) }
  }
}

/** A body that is taken in pieces of any size. */
class CutSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Uint8Array = Buffer.alloc(0)
  #ended = false
  #stopped = false
  /** Ends the wait for the body. */
  #giveUp: (reason: Error) => void = () => undefined

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#chunks = body[Symbol.asyncIterator]()
  }

  async hasMore(): Promise<boolean> {
    // Not an end: who still writes must not take a part of the body for all of it.
    if (this.#stopped) throw unwanted()
    while (this.#held.length === 0 && !this.#ended) {
      try {
        const { done, value } = await this.#next()
        if (done === true) this.#ended = true
        else this.#held = value
      } catch (error) {
        this.#ended = true
        throw error
      }
    }
    return this.#held.length > 0
  }

  /** At least a byte and at most `limit`; `undefined` at the end. */
  async take(limit: number): Promise<Uint8Array | undefined> {
    if (!(await this.hasMore())) return undefined
    const taken = this.#held.subarray(0, limit)
    this.#held = this.#held.subarray(limit)
    return taken
  }

  /** Tells the body to end, and does not wait for it: it may hang. */
  stop(): void {
    this.#stopped = true
    if (this.#ended) return
    this.#ended = true
    this.#giveUp(unwanted())
    void Promise.resolve(this.#chunks.return?.()).catch(() => undefined)
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject
      this.#chunks.next().then(resolve, reject)
    })
  }
}

function unwanted(): Error {
  return new Error('the body is not wanted any more')
}
