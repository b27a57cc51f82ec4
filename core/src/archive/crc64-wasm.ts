/**
 * The WebAssembly module behind `crc64.ts`, put together here instruction by instruction: it is too small for a compiler
 * of its own. JavaScript has no fast 64-bit integers, and other modules compute one chain of table look-ups, each of
 * which waits for the one before. Here most bytes are never looked up: they are added to later ones.
 *
 * A checksum is the remainder of a division by a polynomial, so it stays the same when multiples of that are added to the
 * data. One multiple has eight terms only, all of them whole 64-bit numbers apart: adding it wherever it makes a number
 * zero leaves what the table has to go over only in the end (the idea: Russell, "Chorba", arXiv:2412.16398).
 */

/**
 * How many 64-bit numbers further on, or back, the other terms of the multiple are. Eight of the first 2048 powers of x^64
 * that add up to nothing; found by looking for two groups of four with the same sum.
 */
export const DISTANCES = [297, 419, 503, 788, 829, 928, 1429] as const
/** What has to be left for the table; also, how far back the sums reach. */
export const REACH_BYTES = 8 * 1429
/** What {@link Crc64Module.fold} does at once. */
export const STEP_BYTES = 64
const VECTOR_BYTES = 16

/** Where its memory has what. The table is eight of 256 numbers of 64 bits, one for each byte of a number. */
export const TABLES = 0
export const REST = 16 * 1024
const REST_BYTES = 12 * 1024
/** Just before the data, as far as the sums reach. */
export const HISTORY = REST + REST_BYTES
export const DATA = HISTORY + Math.ceil(REACH_BYTES / STEP_BYTES) * STEP_BYTES
export const BLOCK_BYTES = 256 * 1024
const PAGE_BYTES = 64 * 1024

export interface Crc64Module {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** The register after the bytes from `from` to `end`, whole eights of them, at least one. */
  lookUp(from: number, end: number, register: bigint): bigint
  /**
   * Adds to the bytes between `from` and `end`, in whole steps, at least one, those that are the distances before them.
   * What is changed are the bytes `apart` from there: 0 for them themselves. Absent where a processor has no vectors.
   */
  readonly fold?: (from: number, end: number, apart: number) => void
}

/** What is used of it; its types come with those of browsers only. */
declare const WebAssembly: {
  readonly validate: (bytes: Uint8Array) => boolean
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

const I32 = 0x7f
const I64 = 0x7e
const NO_RESULT = 0x40

type Code = readonly number[]

const get = (local: number): Code => [0x20, local]
const set = (local: number): Code => [0x21, local]
const tee = (local: number): Code => [0x22, local]
const i32 = (value: number): Code => [0x41, ...signed(value)]
const i64 = (value: number): Code => [0x42, ...signed(value)]
const loadI64 = (offset: number): Code => [0x29, 3, ...unsigned(offset)]
const loop = (body: Code): Code => [0x03, NO_RESULT, ...body, 0x0b]
const REPEAT_IF: Code = [0x0d, 0]
const I32_BELOW: Code = [0x49]
const I32_ADD: Code = [0x6a]
const I32_AND: Code = [0x71]
const I32_SHIFT_LEFT: Code = [0x74]
const I32_SHIFT_RIGHT: Code = [0x76]
const I64_XOR: Code = [0x85]
const I64_SHIFT_RIGHT: Code = [0x88]
const I64_LOW_HALF: Code = [0xa7]
const loadVector = (offset: number): Code => [0xfd, 0x00, 3, ...unsigned(offset)]
const storeVector = (offset: number): Code => [0xfd, 0x0b, 3, ...unsigned(offset)]
const VECTOR_XOR: Code = [0xfd, 0x51]
const I32_SUBTRACT: Code = [0x6b]

/** Replaces the number on the stack by the sum (xor) of what the tables say to its eight bytes. */
function lookUpNumber(number: number, half: number): Code {
  const code = [...set(number)]
  for (let byte = 0; byte < 8; byte++) {
    if (byte === 0) code.push(...get(number), ...I64_LOW_HALF, ...set(half))
    if (byte === 4) code.push(...get(number), ...i64(32), ...I64_SHIFT_RIGHT, ...I64_LOW_HALF, ...set(half))
    // The byte times eight, the size of an entry.
    const shift = (byte % 4) * 8 - 3
    code.push(...get(half), ...i32(Math.abs(shift)), ...(shift < 0 ? I32_SHIFT_LEFT : I32_SHIFT_RIGHT))
    code.push(...i32(0xff * 8), ...I32_AND, ...loadI64(TABLES + byte * 256 * 8))
    if (byte > 0) code.push(...I64_XOR)
  }
  return code
}

function lookUp(): Code {
  const [from, end, register, number, half] = [0, 1, 2, 3, 4]
  return functionBody(
    [
      [1, I64],
      [1, I32],
    ],
    [
      ...loop([
        ...[...get(register), ...get(from), ...loadI64(0), ...I64_XOR],
        ...[...lookUpNumber(number, half), ...set(register)],
        ...[...get(from), ...i32(8), ...I32_ADD, ...tee(from), ...get(end), ...I32_BELOW, ...REPEAT_IF],
      ]),
      ...get(register),
    ],
  )
}

function fold(): Code {
  const [from, end, apart, target, start] = [0, 1, 2, 3, 4]
  const steps = Array.from({ length: STEP_BYTES / VECTOR_BYTES }, (_, index) => index * VECTOR_BYTES)
  return functionBody(
    [[2, I32]],
    [
      ...loop([
        ...[...get(from), ...get(apart), ...I32_ADD, ...set(target)],
        ...[...get(from), ...i32(REACH_BYTES), ...I32_SUBTRACT, ...set(start)],
        ...steps.flatMap((at) => [
          ...[...get(target), ...get(target), ...loadVector(at)],
          ...DISTANCES.flatMap((distance) => [
            ...[...get(start), ...loadVector(at + REACH_BYTES - 8 * distance), ...VECTOR_XOR],
          ]),
          ...storeVector(at),
        ]),
        ...[...get(from), ...i32(STEP_BYTES), ...I32_ADD, ...tee(from), ...get(end), ...I32_BELOW, ...REPEAT_IF],
      ]),
    ],
  )
}

/** A fresh module; its table is all zero. */
export function makeCrc64Module(): Crc64Module {
  const full = moduleBytes([exported('lookUp', 0, 0), exported('fold', 0, 1)], [lookUp(), fold()])
  // Emulated processors may be older than any real one that runs Node.js.
  const bytes = WebAssembly.validate(full) ? full : moduleBytes([exported('lookUp', 0, 0)], [lookUp()])
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes))
  return instance.exports as Crc64Module
}

function moduleBytes(functions: readonly Code[], bodies: readonly Code[]): Uint8Array {
  const [MAGIC, VERSION] = [
    [0, 0x61, 0x73, 0x6d],
    [1, 0, 0, 0],
  ]
  const types = [
    [0x60, 3, I32, I32, I64, 1, I64],
    [0x60, 3, I32, I32, I32, 0],
  ]
  return Uint8Array.from([
    ...[...MAGIC, ...VERSION],
    ...section(1, types),
    ...section(
      3,
      bodies.map((_, index) => [index]),
    ),
    ...section(5, [[0, Math.ceil((DATA + BLOCK_BYTES) / PAGE_BYTES)]]),
    ...section(7, [exported('memory', 2, 0), ...functions]),
    ...section(10, bodies),
  ])
}

function functionBody(locals: readonly Code[], code: Code): Code {
  const body = [locals.length, ...locals.flat(), ...code, 0x0b]
  return [...unsigned(body.length), ...body]
}

function exported(name: string, kind: number, index: number): Code {
  return [name.length, ...Buffer.from(name), kind, index]
}

function section(id: number, items: readonly Code[]): Code {
  const content = [items.length, ...items.flat()]
  return [id, ...unsigned(content.length), ...content]
}

/** LEB128, as WebAssembly writes every number. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

function signed(value: number): Code {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)]
}
