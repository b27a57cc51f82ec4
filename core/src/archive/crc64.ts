import { createCRC64 } from 'hash-wasm'

/**
 * CRC-64/XZ (reflected 0xC96C5795D7870F42, all ones in and out): Go's `crc64.ECMA`, which archives and `metadata.json`
 * carry as a signed 64-bit number (PBM: archive-and-oplog.md §1.2).
 */
export interface Crc64 {
  update(bytes: Uint8Array): void
  /** Of all bytes so far, as the signed number that goes into BSON. */
  digest(): bigint
}

export async function createCrc64(): Promise<Crc64> {
  const hasher = await createCRC64('c96c5795d7870f42')
  hasher.init()
  return {
    update: (bytes) => {
      hasher.update(bytes)
    },
    digest: () => {
      const state = hasher.save()
      const hex = hasher.digest('hex')
      hasher.load(state)
      return BigInt.asIntN(64, BigInt(`0x${hex}`))
    },
  }
}
