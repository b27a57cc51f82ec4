/** What may be kept of a body to give it once more: most objects of a backup are smaller. Parallel saves each hold as much. */
export const REPLAY_BYTES = 1024 * 1024

/**
 * A body that can be iterated again as long as no more than {@link REPLAY_BYTES} of it were taken: chunks are kept by
 * reference, and come again before the rest. Each iteration takes the place of the one before.
 */
export class ReplayableBody implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #limit: number
  /** From chunk number `#first` on. */
  readonly #kept: Uint8Array[] = []
  #first = 0
  #bytes = 0
  #iteration = 0
  #ended = false
  #failed = false
  #stopped = false
  #asked: Promise<void> | undefined

  constructor(body: AsyncIterable<Uint8Array>, limit = REPLAY_BYTES) {
    this.#source = body[Symbol.asyncIterator]()
    this.#limit = limit
  }

  /** Whether another iteration would give the whole body. */
  get canReplay(): boolean {
    return this.#first === 0 && !this.#failed
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const iteration = ++this.#iteration
    let index = 0
    return {
      next: async () => {
        for (;;) {
          // Not an end: who still writes what an ended try began must not take a part of the body for all of it.
          if (this.#stopped || iteration !== this.#iteration) throw new Error('the body is not wanted any more')
          const value = this.#kept[index - this.#first]
          if (value !== undefined) {
            index++
            this.#forget(index)
            return { done: false, value }
          }
          if (this.#ended) return { done: true, value: undefined }
          // One that an ended iteration asked for is kept, too.
          this.#asked ??= this.#ask().finally(() => {
            this.#asked = undefined
          })
          await this.#asked
        }
      },
      // The source goes on for the next iteration; stop() ends it.
      return: async () => ({ done: true, value: undefined }),
    }
  }

  /** Tells the source to end, unless it has, and does not wait for it: it may hang. */
  stop(): void {
    this.#stopped = true
    if (this.#ended) return
    this.#ended = true
    void Promise.resolve(this.#source.return?.()).catch(() => undefined)
  }

  async #ask(): Promise<void> {
    try {
      const { done, value } = await this.#source.next()
      if (done === true) {
        this.#ended = true
        return
      }
      this.#kept.push(value)
      this.#bytes += value.length
    } catch (error) {
      this.#ended = true
      this.#failed = true
      throw error
    }
  }

  /** Once more was taken than may be kept, nothing is. */
  #forget(taken: number): void {
    if (this.#bytes <= this.#limit) return
    this.#kept.splice(0, taken - this.#first)
    this.#first = taken
  }
}
