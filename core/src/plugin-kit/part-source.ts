const SMALLEST_BUFFER = 64 * 1024

/** Cuts a body into parts of any size. Memory of parts that were given back is used again. */
export class PartSource {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #free: Buffer[] = []
  #rest: Uint8Array = Buffer.alloc(0)
  #ended = false
  /** Whether a part was filled: the next ones most likely will be, too. */
  #filled = false

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#chunks = body[Symbol.asyncIterator]()
  }

  /** The next `size` bytes; fewer, perhaps none, only at the end. Throws the errors of the body. */
  async next(size: number): Promise<Buffer> {
    const spare = this.#free.pop()
    // Memory that is not written to costs nothing, memory that was outgrown does until it is collected.
    const fresh = () => (this.#filled ? Buffer.allocUnsafeSlow(size) : Buffer.alloc(0))
    let part = spare !== undefined && spare.length >= size ? spare : fresh()
    let held = 0
    while (held < size && (this.#rest.length > 0 || (await this.#more()))) {
      const taken = Math.min(this.#rest.length, size - held)
      if (held + taken > part.length) part = grown(part, held, Math.max(held + taken, SMALLEST_BUFFER), size)
      part.set(taken === this.#rest.length ? this.#rest : this.#rest.subarray(0, taken), held)
      held += taken
      this.#rest = this.#rest.subarray(taken)
    }
    this.#filled ||= held === size
    return part.subarray(0, held)
  }

  /** Takes the memory of a part back, once nobody reads it any more. */
  release(part: Buffer): void {
    // Of a view, the whole buffer: parts begin at its start.
    if (part.length > SMALLEST_BUFFER) this.#free.push(Buffer.from(part.buffer, part.byteOffset))
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false
    const { done, value } = await this.#chunks.next()
    if (done === true) this.#ended = true
    else this.#rest = value
    return done !== true
  }
}

/** Doubles, so that a small object does not cost the memory of a whole part. */
function grown(part: Buffer, held: number, needed: number, most: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.min(most, Math.max(needed, part.length * 2)))
  part.copy(larger, 0, 0, held)
  return larger
}
