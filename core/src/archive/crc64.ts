import {
  BLOCK_BYTES,
  type Crc64Module,
  DATA,
  HISTORY,
  makeCrc64Module,
  REACH_BYTES,
  REST,
  STEP_BYTES,
  TABLES,
} from './crc64-wasm.js'

/** CRC-64/XZ's polynomial, reflected. */
const POLYNOMIAL = 0xc96c5795d7870f42n
const ALL_ONES = 0xffffffffffffffffn
/** Of fewer bytes, what is left over for the table would be too large a part. */
const LEAST_FOLDED_BYTES = 32 * 1024

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
  readonly lookUp: Crc64Module['lookUp']
  readonly fold: Crc64Module['fold']
  readonly memory: Uint8Array
  readonly view: DataView
  /** What each value of one byte does to the register. */
  readonly byByte: BigUint64Array
}

/** Holds nothing between calls, so that all streams share it. */
let shared: Engine | undefined

export function createCrc64(): Crc64 {
  shared ??= makeEngine()
  const engine = shared
  let register = ALL_ONES
  return {
    update: (bytes) => {
      if (bytes.length >= LEAST_FOLDED_BYTES && engine.fold !== undefined) {
        register = foldAll(engine, engine.fold, bytes, register)
        return
      }
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
        const block = bytes.subarray(at, at + BLOCK_BYTES)
        engine.memory.set(block, DATA)
        register = lookUpAll(engine, DATA, block.length, register)
      }
    },
    digest: () => BigInt.asIntN(64, register ^ ALL_ONES),
  }
}

/** The register after `length` bytes of the memory. */
function lookUpAll({ lookUp, memory, byByte }: Engine, from: number, length: number, before: bigint): bigint {
  const eights = length & ~7
  let register = eights === 0 ? before : BigInt.asUintN(64, lookUp(from, from + eights, before))
  for (let at = from + eights; at < from + length; at++) {
    const index = Number(register & 0xffn) ^ (memory[at] ?? 0)
    register = (register >> 8n) ^ (byByte[index] ?? 0n)
  }
  return register
}

/** The register after all of `bytes`: block by block, each added to what comes after it, until only a rest is left. */
function foldAll(engine: Engine, fold: NonNullable<Engine['fold']>, bytes: Uint8Array, before: bigint): bigint {
  const { memory, view } = engine
  memory.fill(0, HISTORY, DATA)
  for (let at = 0; ; ) {
    const length = bytes.length - at
    const isLast = length <= BLOCK_BYTES
    // Never less for the last than what has to be left.
    const size = isLast ? length : Math.min(BLOCK_BYTES, wholeSteps(length - REACH_BYTES))
    memory.set(bytes.subarray(at, at + size), DATA)
    if (at === 0) view.setBigUint64(DATA, view.getBigUint64(DATA, true) ^ before, true)
    const end = DATA + size
    if (isLast) {
      const left = DATA + wholeSteps(size - REACH_BYTES)
      if (left > DATA) fold(DATA, left, 0)
      // What is left itself is added to nothing.
      memory.copyWithin(REST, left, end)
      memory.fill(0, left, end)
      fold(left, end, REST - left)
      return lookUpAll(engine, REST, end - left, 0n)
    }
    fold(DATA, end, 0)
    memory.copyWithin(HISTORY, end - (DATA - HISTORY), end)
    at += size
  }
}

function wholeSteps(bytes: number): number {
  return bytes - (bytes % STEP_BYTES)
}

/** The digest as 16 hexadecimal digits. */
export function crcText(crc: Crc64): string {
  return BigInt.asUintN(64, crc.digest()).toString(16).padStart(16, '0')
}

function makeEngine(): Engine {
  const { memory, lookUp, fold } = makeCrc64Module()
  const { buffer } = memory
  const byByte = new BigUint64Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let register = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ (register & 1n ? POLYNOMIAL : 0n)
    byByte[byte] = register
  }
  // Eight bytes at once: the table of the last is `byByte`, and each before it moves that on by one byte more.
  const tables = new BigUint64Array(buffer, TABLES, 8 * 256)
  tables.set(byByte, 7 * 256)
  for (let index = 7 * 256 - 1; index >= 0; index--) {
    const later = tables[index + 256] ?? 0n
    tables[index] = (later >> 8n) ^ (byByte[Number(later & 0xffn)] ?? 0n)
  }
  return { lookUp, fold, memory: new Uint8Array(buffer), view: new DataView(buffer), byByte }
}
