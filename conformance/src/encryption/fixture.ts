import assert from 'node:assert/strict'
import {
  type Cipher,
  type EncryptionPlugin,
  hasCode,
  type OpenOptions,
  type PluginContext,
  type PluginErrorCode,
  type SealOptions,
} from '@pbmkit/core/plugin'
import { collect, whole } from '../compression-samples.js'
import type { TestRunner } from '../runner.js'

/** What the cases of one plugin share. */
export interface EncryptionBench {
  readonly it: TestRunner['it']
  // biome-ignore lint/suspicious/noExplicitAny: the suite takes plugins of every options type
  readonly plugin: EncryptionPlugin<any>
  readonly options: () => Promise<object>
  readonly otherOptions: () => Promise<object>
  readonly missingOptions: () => Promise<object>
  readonly rotatedOptions: (() => Promise<object>) | undefined
  readonly secrets: readonly string[]
}

/** What an object that was altered in any way may be refused with. */
export const REFUSED: readonly PluginErrorCode[] = [
  'ENCRYPTION_TAMPERED',
  'CODEC_TRUNCATED',
  'ENCRYPTION_KEY_MISSING',
  'ENCRYPTION_KEY_WRONG',
]
/** What one may be refused with whose header is whole. */
export const DAMAGED: readonly PluginErrorCode[] = ['ENCRYPTION_TAMPERED', 'CODEC_TRUNCATED']
export const NO_KEY: readonly PluginErrorCode[] = ['ENCRYPTION_KEY_MISSING', 'ENCRYPTION_KEY_WRONG']

export const context: PluginContext = { signal: new AbortController().signal, warn: () => undefined }

export function memoized<T>(make: () => T | Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= Promise.resolve().then(make)
    return made
  }
}

/** Opened once: a cipher works on any number of objects. */
const ciphers = new WeakMap<EncryptionBench, Promise<Cipher>>()

export function cipherOf(bench: EncryptionBench): Promise<Cipher> {
  const known = ciphers.get(bench) ?? bench.options().then((options) => bench.plugin.open(options, context))
  ciphers.set(bench, known)
  return known
}

export function sealed(cipher: Cipher, bytes: Uint8Array, options?: SealOptions): Promise<Buffer> {
  return collect(cipher.seal(whole(bytes), options))
}

export function opened(cipher: Cipher, bytes: Uint8Array, options?: OpenOptions): Promise<Buffer> {
  return collect(cipher.open(whole(bytes), options))
}

export interface Refusal {
  /** What came out before. */
  readonly given: Buffer
  readonly error: unknown
}

/** Opens what must be refused: with one of `codes`, and without a byte that is not of `original`. */
export async function refusal(
  cipher: Cipher,
  bytes: Uint8Array,
  original: Uint8Array,
  codes: readonly PluginErrorCode[],
  where: string,
  options?: OpenOptions,
): Promise<Refusal> {
  const chunks: Uint8Array[] = []
  let failure: { readonly error: unknown } | undefined
  try {
    for await (const chunk of cipher.open(whole(bytes), options)) chunks.push(chunk)
  } catch (error) {
    failure = { error }
  }
  const given = Buffer.concat(chunks)
  const honest = given.equals(original.subarray(0, given.length))
  assert.ok(honest, `${where}: bytes came out that were never sealed`)
  if (failure === undefined) assert.fail(`${where}: must be refused, but is taken`)
  const { error } = failure
  assert.ok(
    codes.some((code) => hasCode(error, code)),
    `${where}: the error must carry ${codes.join(' or ')}, but is ${String(error)}`,
  )
  return { given, error }
}

/** Of what sealed objects consist, as far as their sizes tell. */
export interface Shape {
  /** Bytes. */
  readonly header: number
  /** Bytes before sealing. */
  readonly block: number
  /** What sealing adds to a block. */
  readonly overhead: number
}

const SMALLEST_BLOCK = 2 ** 10
const LARGEST_BLOCK = 2 ** 22

/**
 * Finds the borders of blocks: the size at which one more byte costs more than a byte. A plugin whose blocks are no power
 * of two is cut into arbitrary pieces instead, which must be refused no less.
 */
export async function shapeOf(cipher: Cipher): Promise<Shape> {
  const sizeOf = async (bytes: number) => (await sealed(cipher, Buffer.alloc(bytes))).length
  const one = await sizeOf(1)
  for (let block = SMALLEST_BLOCK; block <= LARGEST_BLOCK; block *= 2) {
    const overhead = (await sizeOf(block + 1)) - (await sizeOf(block)) - 1
    if (overhead > 0) return { header: one - 1 - overhead, block, overhead }
  }
  return { header: one - 1, block: 65_536, overhead: 0 }
}

/** The sealed blocks of an object, and its header. */
export function taken(bytes: Buffer, { header, block, overhead }: Shape): { head: Buffer; blocks: Buffer[] } {
  const blocks: Buffer[] = []
  for (let at = header; at < bytes.length; at += block + overhead)
    blocks.push(bytes.subarray(at, at + block + overhead))
  return { head: bytes.subarray(0, header), blocks }
}

export function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit % 8)), bit >> 3)
  return copy
}
