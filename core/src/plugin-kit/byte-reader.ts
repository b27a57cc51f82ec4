import { PluginError } from '../plugin/errors.js'
import { asBuffer } from './streams.js'

/**
 * Takes exact amounts of bytes out of a stream that comes in chunks of any size: the base of every reader of a framed
 * format. Holds one chunk at a time, besides what was asked for. Whoever makes one must `close()` it.
 */
export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #format: string
  #chunk: Uint8Array = Buffer.alloc(0)
  #ended = false

  /** `format` names the stream in errors: 'LZ4 stream'. */
  constructor(source: AsyncIterable<Uint8Array>, format: string) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#format = format
  }

  /** Whether no byte is left. */
  async atEnd(): Promise<boolean> {
    while (this.#chunk.length === 0 && !this.#ended) {
      const { done, value } = await this.#iterator.next()
      if (done === true) this.#ended = true
      else this.#chunk = value
    }
    return this.#chunk.length === 0
  }

  /** Exactly `size` bytes; shares memory with the source's chunk where they lie in one. Throws `CODEC_TRUNCATED`. */
  async take(size: number): Promise<Buffer> {
    if (this.#chunk.length >= size) return this.#cut(size)
    const pieces: Buffer[] = []
    for (let missing = size; missing > 0; ) {
      const piece = await this.takeSome(missing)
      pieces.push(piece)
      missing -= piece.length
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, size)
  }

  /** At least one byte and at most `most`, whatever is at hand. Throws `CODEC_TRUNCATED` at the end. */
  async takeSome(most: number): Promise<Buffer> {
    if (await this.atEnd()) throw new PluginError('CODEC_TRUNCATED', `The ${this.#format} ends in the middle`)
    return this.#cut(Math.min(most, this.#chunk.length))
  }

  /** Drops `size` bytes without holding them. Throws `CODEC_TRUNCATED`. */
  async skip(size: number): Promise<void> {
    for (let missing = size; missing > 0; ) missing -= (await this.takeSome(missing)).length
  }

  /** Closes the source, if it has not ended by itself. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#chunk = Buffer.alloc(0)
    await this.#iterator.return?.()
  }

  #cut(size: number): Buffer {
    const head = asBuffer(this.#chunk.subarray(0, size))
    this.#chunk = this.#chunk.subarray(size)
    return head
  }
}
