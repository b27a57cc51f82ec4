/** A queue between one producer that never waits and one consumer. Single use; what it holds is bounded by its producer. */
export class Queue<T> implements AsyncIterable<T> {
  #items: T[] = []
  #ended = false
  #wake: (() => void) | undefined

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  /** Removes waiting items. */
  drop(unwanted: (item: T) => boolean): void {
    this.#items = this.#items.filter((item) => !unwanted(item))
  }

  /** No more items: the consumer ends at once, what still waits is not delivered. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, undefined> {
    while (!this.#ended) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return undefined
  }
}
