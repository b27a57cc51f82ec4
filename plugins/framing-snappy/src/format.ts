import { crc32c } from '@node-rs/crc32'

/**
 * The framing: chunks of a type byte, a length of three bytes (little-endian) and that many bytes. Chunks with data
 * start with the masked CRC-32C of the uncompressed bytes. PBM: storage-format.md §5.
 */
export const CHUNK_HEADER_BYTES = 4
export const CHECKSUM_BYTES = 4

export const CHUNK_COMPRESSED = 0x00
export const CHUNK_STORED = 0x01
/** Chunk types from here to 0xfe are skipped by a reader that does not know them, padding among them. */
export const CHUNK_FIRST_SKIPPABLE = 0x80
export const CHUNK_IDENTIFIER = 0xff

export interface Dialect {
  /** What the identifier chunk says. */
  readonly identifier: string
  /** The largest block in bytes, uncompressed. */
  readonly largestBlock: number
}

export const SNAPPY: Dialect = { identifier: 'sNaPpY', largestBlock: 64 * 1024 }
export const S2: Dialect = { identifier: 'S2sTwO', largestBlock: 4 * 1024 * 1024 }

/** The checksum of a chunk: CRC-32C, rotated and offset so that data which holds CRCs itself is still told apart. */
export function maskedChecksum(bytes: Uint8Array): number {
  const checksum = crc32c(bytes)
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0
}
