/** Writes the elements of one S2 block: the reverse of `decodeBlock` of framing-snappy, which describes them. */
export class ElementWriter {
  readonly #bytes: Buffer
  #size = 0
  /** What a repeat means; nothing before the first copy. */
  lastOffset = 0

  /** For a block of `length` bytes; its elements must not be longer than literals of the same bytes. */
  constructor(length: number) {
    this.#bytes = Buffer.allocUnsafeSlow(length + (length >> 5) + 64)
    let rest = length
    for (; rest >= 0x80; rest >>>= 7) this.#byte((rest & 0x7f) | 0x80)
    this.#byte(rest)
  }

  /** The block so far. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }

  literal(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const last = bytes.length - 1
    const lengthBytes = last < 60 ? 0 : last < 0x100 ? 1 : last < 0x10000 ? 2 : 3
    this.#byte((lengthBytes === 0 ? last : 59 + lengthBytes) << 2)
    this.#number(last, lengthBytes)
    this.#bytes.set(bytes, this.#size)
    this.#size += bytes.length
  }

  /** At least 4 bytes. Long ones are a copy and a repeat of the rest. */
  copy(offset: number, length: number): void {
    let done = 0
    if (offset !== this.lastOffset) {
      // What is left over must be long enough for a repeat.
      const first = length <= 64 ? length : offset < 2048 ? 8 : 60
      if (offset < 2048 && first < 12) {
        this.#byte(1 | ((first - 4) << 2) | ((offset >> 8) << 5))
        this.#byte(offset & 0xff)
      } else {
        const far = offset > 0xffff
        this.#byte((far ? 3 : 2) | ((first - 1) << 2))
        this.#number(offset, far ? 4 : 2)
      }
      done = first
      this.lastOffset = offset
    }
    if (done < length) this.#repeat(length - done)
  }

  #repeat(length: number): void {
    const lengthBytes = length < 9 ? 0 : length < 264 ? 1 : length < 65_796 ? 2 : 3
    const base = [4, 8, 260, 65_540][lengthBytes] as number
    this.#byte(1 | ((lengthBytes === 0 ? length - base : 4 + lengthBytes) << 2))
    this.#byte(0)
    this.#number(length - base, lengthBytes)
  }

  #byte(value: number): void {
    this.#bytes[this.#size++] = value
  }

  #number(value: number, bytes: number): void {
    for (let shift = 0; shift < bytes * 8; shift += 8) this.#byte((value >>> shift) & 0xff)
  }
}

/** What a copy costs in bytes, roughly: its length may add a byte or two. */
export function costOf(offset: number, length: number, repeated: boolean): number {
  if (repeated) return length < 9 ? 2 : 3
  if (offset < 2048) return length < 12 ? 2 : length <= 64 ? 3 : 5
  return (offset > 0xffff ? 5 : 3) + (length > 64 ? 3 : 0)
}
