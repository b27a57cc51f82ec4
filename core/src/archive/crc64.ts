import {
  BLOCK_BYTES,
  CRC_TABLES,
  type Crc64Module,
  DATA,
  makeCrc64Module,
  PART_BYTES,
  SHIFT_TABLES,
} from './crc64-wasm.js'

/** CRC-64/XZ's polynomial, reflected. */
const POLYNOMIAL = 0xc96c5795d7870f42n
const ALL_ONES = 0xffffffffffffffffn

/**
 * CRC-64/XZ (reflected 0xC96C5795D7870F42, all ones in and out): Go's `crc64.ECMA`, which archives and `metadata.json`
 * carry as a signed 64-bit number (PBM: archive-and-oplog.md §1.2).
 */
export interface Crc64 {
  update(bytes: Uint8Array): void
  /** Of all bytes so far, as the signed number that goes into BSON. */
  digest(): bigint
}

interface Engine {
  readonly module: Crc64Module
  readonly data: Uint8Array
  /** What each value of one byte does to the register. */
  readonly byByte: BigUint64Array
}

/** Holds nothing between calls, so that all streams share it. */
let shared: Engine | undefined

export function createCrc64(): Crc64 {
  shared ??= makeEngine()
  const { module, data, byByte } = shared
  let register = ALL_ONES
  return {
    update: (bytes) => {
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
        const length = Math.min(BLOCK_BYTES, bytes.length - at)
        data.set(length === bytes.length ? bytes : bytes.subarray(at, at + length))
        if (length === BLOCK_BYTES) {
          register = BigInt.asUintN(64, module.four(register))
          continue
        }
        const eights = length & ~7
        if (eights > 0) register = BigInt.asUintN(64, module.one(DATA, DATA + eights, register))
        for (let rest = eights; rest < length; rest++) {
          const index = Number(register & 0xffn) ^ (data[rest] ?? 0)
          register = (register >> 8n) ^ (byByte[index] ?? 0n)
        }
      }
    },
    digest: () => BigInt.asIntN(64, register ^ ALL_ONES),
  }
}

/** The digest as 16 hexadecimal digits. */
export function crcText(crc: Crc64): string {
  return BigInt.asUintN(64, crc.digest()).toString(16).padStart(16, '0')
}

function makeEngine(): Engine {
  const module = makeCrc64Module()
  const { buffer } = module.memory
  const byByte = new BigUint64Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let register = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ (register & 1n ? POLYNOMIAL : 0n)
    byByte[byte] = register
  }
  // Eight bytes at once: the table of the last is `byByte`, and each before it moves that on by one byte more.
  fillTables(new BigUint64Array(buffer, CRC_TABLES, 8 * 256), (value) => {
    let register = value
    for (let byte = 0; byte < 8; byte++) register = (register >> 8n) ^ (byByte[Number(register & 0xffn)] ?? 0n)
    return register
  })
  // What a whole part of zeros makes of a register is what the parts before it must be moved on by.
  fillTables(new BigUint64Array(buffer, SHIFT_TABLES, 8 * 256), (value) => module.one(DATA, DATA + PART_BYTES, value))
  return { module, data: new Uint8Array(buffer, DATA, BLOCK_BYTES), byByte }
}

/**
 * Fills eight tables, one for each byte of a 64-bit number, with `of` every value of that byte. `of` is linear over xor,
 * so 64 of its values make all 2048.
 */
function fillTables(tables: BigUint64Array, of: (value: bigint) => bigint): void {
  for (let bit = 0; bit < 64; bit++) {
    const image = BigInt.asUintN(64, of(1n << BigInt(bit)))
    const table = (bit >> 3) * 256
    const entry = 1 << (bit & 7)
    for (let below = 0; below < entry; below++) tables[table + entry + below] = (tables[table + below] ?? 0n) ^ image
  }
}
