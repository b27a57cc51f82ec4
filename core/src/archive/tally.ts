import { crcText, createCrc64 } from './crc64.js'

/** Counts and checks a stream that passes by, or several one behind the other. */
export class Tally {
  readonly #crc = createCrc64()
  #size = 0

  /** Bytes so far. */
  get size(): number {
    return this.#size
  }

  /** CRC-64/XZ of the bytes so far, signed. */
  get crc(): bigint {
    return this.#crc.digest()
  }

  /** {@link crc} as 16 hexadecimal digits. */
  crcText(): string {
    return crcText(this.#crc)
  }

  add(bytes: Uint8Array): void {
    this.#crc.update(bytes)
    this.#size += bytes.length
  }

  async *through<Chunk extends Uint8Array>(source: AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
    for await (const bytes of source) {
      this.add(bytes)
      yield bytes
    }
  }
}
