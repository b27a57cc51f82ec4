import { hash } from 'node:crypto'

/** Servers write pages of 32 KiB somewhere else each time: larger blocks would change with far less (docs/physical-backups.md). */
export const BLOCK_BYTES = 64 * 1024
/** Of SHA-256: nobody finds two blocks of one hash in 2^64 tries. */
export const HASH_BYTES = 16

export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_BYTES)
}

/** The hashes of whole blocks; the last one may be shorter. */
export function hashesOf(bytes: Buffer): Buffer {
  const hashes = Buffer.allocUnsafeSlow(blockCount(bytes.length) * HASH_BYTES)
  for (let block = 0; block * BLOCK_BYTES < bytes.length; block++) {
    const start = block * BLOCK_BYTES
    hash('sha256', bytes.subarray(start, start + BLOCK_BYTES), 'buffer').copy(hashes, block * HASH_BYTES, 0, HASH_BYTES)
  }
  return hashes
}
