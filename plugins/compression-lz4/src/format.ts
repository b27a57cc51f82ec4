import { corrupt } from '@pbmkit/core/plugin/kit'
import { createXXHash32 } from 'hash-wasm'

/** The LZ4 frame format, version 1. */
export const MAGIC = 0x184d2204
/** Written by `lz4 -l` and old Linux kernels: blocks of 8 MiB, no checksums. */
export const LEGACY_MAGIC = 0x184c2102
export const SKIPPABLE_MAGIC = 0x184d2a50
export const LEGACY_BLOCK_BYTES = 8 * 1024 * 1024
/** How far LZ4 looks back: what a linked block may refer to. */
export const WINDOW_BYTES = 64 * 1024
/** Set in a block's length when its bytes are not compressed. */
export const STORED_BIT = 0x80000000

export type Checksum = Awaited<ReturnType<typeof createXXHash32>>

/** A running XXH32. */
export async function newChecksum(): Promise<Checksum> {
  return (await createXXHash32()).init()
}

/** The value of a finished XXH32. */
export function digestOf(checksum: Checksum): number {
  return Buffer.from(checksum.digest('binary')).readUInt32BE()
}

export interface FrameHeader {
  readonly independent: boolean
  readonly blockChecksums: boolean
  readonly contentChecksum: boolean
  /** Bytes of content, where the frame tells. */
  readonly contentSize: bigint | undefined
  /** The largest block in bytes, uncompressed. */
  readonly largestBlock: number
}

/** How long the header is behind its magic number, without its own checksum: told by the first byte. */
export function headerBytes(flags: number): number {
  return 2 + ((flags & 0x08) !== 0 ? 8 : 0) + ((flags & 0x01) !== 0 ? 4 : 0)
}

/** Reads a header, without magic number and checksum. Throws `CODEC_CORRUPT` for what the format does not have. */
export function parseHeader(bytes: Buffer): FrameHeader {
  const flags = bytes.readUInt8(0)
  const block = bytes.readUInt8(1)
  const sizeCode = (block >> 4) & 7
  if (flags >> 6 !== 1 || (flags & 0x02) !== 0 || (block & 0x8f) !== 0 || sizeCode < 4) {
    throw corrupt('The LZ4 stream is damaged: a frame header is not of the format')
  }
  if ((flags & 0x01) !== 0) throw corrupt('The LZ4 stream needs a dictionary, which backups never do')
  return {
    independent: (flags & 0x20) !== 0,
    blockChecksums: (flags & 0x10) !== 0,
    contentSize: (flags & 0x08) === 0 ? undefined : bytes.readBigUInt64LE(2),
    contentChecksum: (flags & 0x04) !== 0,
    largestBlock: 2 ** (8 + 2 * sizeCode),
  }
}
