/**
 * The WebAssembly module behind `crc64.ts`, put together here instruction by instruction: it is too small for a compiler
 * of its own. JavaScript has no fast 64-bit integers, and other modules compute one chain of table look-ups, each of
 * which waits for the one before. This one computes four chains beside each other, over four parts of a block.
 */

/** Where its memory has what. Look-up tables are eight of 256 numbers of 64 bits, one for each byte of a number. */
export const CRC_TABLES = 0
export const SHIFT_TABLES = 16 * 1024
export const DATA = 32 * 1024
/** A chain's part of a block. */
export const PART_BYTES = 4 * 1024
export const BLOCK_BYTES = 4 * PART_BYTES
const MEMORY_PAGES = 2

export interface Crc64Module {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** The register after the bytes from `from` to `end`, whole eights of them. */
  one(from: number, end: number, register: bigint): bigint
  /** The register after the block at {@link DATA}: each part's own, moved on by the parts behind it. */
  four(register: bigint): bigint
}

/** What is used of it; its types come with those of browsers only. */
declare const WebAssembly: {
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

/** Replaces the number on the stack by the sum (xor) of what eight tables say to its eight bytes. */
function lookUp(tables: number, scratch: { number: number; half: number }): Code {
  const code = [...set(scratch.number)]
  for (let byte = 0; byte < 8; byte++) {
    if (byte === 0) code.push(...get(scratch.number), ...I64_LOW_HALF, ...set(scratch.half))
    if (byte === 4) {
      code.push(...get(scratch.number), ...i64(32), ...I64_SHIFT_RIGHT, ...I64_LOW_HALF, ...set(scratch.half))
    }
    // The byte times eight, the size of an entry.
    const shift = (byte % 4) * 8 - 3
    code.push(...get(scratch.half), ...i32(Math.abs(shift)), ...(shift < 0 ? I32_SHIFT_LEFT : I32_SHIFT_RIGHT))
    code.push(...i32(0xff * 8), ...I32_AND, ...loadI64(tables + byte * 256 * 8))
    if (byte > 0) code.push(...I64_XOR)
  }
  return code
}

function one(): Code {
  const [from, end, register, number, half] = [0, 1, 2, 3, 4]
  return functionBody(
    [
      [1, I64],
      [1, I32],
    ],
    [
      ...loop([
        ...[...get(register), ...get(from), ...loadI64(0), ...I64_XOR],
        ...[...lookUp(CRC_TABLES, { number, half }), ...set(register)],
        ...[...get(from), ...i32(8), ...I32_ADD, ...tee(from), ...get(end), ...I32_BELOW, ...REPEAT_IF],
      ]),
      ...get(register),
    ],
  )
}

function four(): Code {
  const [first, second, third, fourth, number, half, offset] = [0, 1, 2, 3, 4, 5, 6]
  const registers = [first, second, third, fourth]
  const scratch = { number, half }
  return functionBody(
    [
      [4, I64],
      [2, I32],
    ],
    [
      ...loop([
        ...registers.flatMap((register, part) => [
          ...[...get(register), ...get(offset), ...loadI64(DATA + part * PART_BYTES), ...I64_XOR],
          ...[...lookUp(CRC_TABLES, scratch), ...set(register)],
        ]),
        ...[...get(offset), ...i32(8), ...I32_ADD, ...tee(offset), ...i32(PART_BYTES), ...I32_BELOW, ...REPEAT_IF],
      ]),
      ...get(first),
      ...registers.slice(1).flatMap((next) => [...lookUp(SHIFT_TABLES, scratch), ...get(next), ...I64_XOR]),
    ],
  )
}

/** A fresh module; its tables are all zero. */
export function makeCrc64Module(): Crc64Module {
  const [MAGIC, VERSION] = [
    [0, 0x61, 0x73, 0x6d],
    [1, 0, 0, 0],
  ]
  const types = [
    [0x60, 3, I32, I32, I64, 1, I64],
    [0x60, 1, I64, 1, I64],
  ]
  const bytes = [
    ...[...MAGIC, ...VERSION],
    ...section(1, types),
    ...section(3, [[0], [1]]),
    ...section(5, [[0, MEMORY_PAGES]]),
    ...section(7, [exported('memory', 2, 0), exported('one', 0, 0), exported('four', 0, 1)]),
    ...section(10, [one(), four()]),
  ]
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)))
  return instance.exports as Crc64Module
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
