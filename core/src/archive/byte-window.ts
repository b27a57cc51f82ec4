import { asBuffer } from '../plugin-kit/streams.js'

/**
 * A window over a stream of bytes: `buffer` from `at` on is what has arrived and is not consumed. Growing it copies
 * once, whatever the size of the chunks.
 */
export class ByteWindow {
  buffer: Buffer = Buffer.alloc(0)
  at = 0
  #before = 0
  readonly #source: AsyncIterator<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Where `at` is in the stream. */
  get position(): number {
    return this.#before + this.at
  }

  get available(): number {
    return this.buffer.length - this.at
  }

  /** Makes `bytes` available; false when the stream ends before. */
  async need(bytes: number): Promise<boolean> {
    if (this.available >= bytes) return true
    const parts = [this.buffer.subarray(this.at)]
    let held = this.available
    while (held < bytes) {
      const next = await this.#source.next()
      if (next.done === true) break
      parts.push(asBuffer(next.value))
      held += next.value.length
    }
    this.#before += this.at
    this.at = 0
    const [first, second] = parts
    this.buffer =
      first?.length === 0 && second !== undefined && parts.length === 2 ? second : Buffer.concat(parts, held)
    return held >= bytes
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}
