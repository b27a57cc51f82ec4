import { randomBytes } from 'node:crypto'
import type { Cipher, WrappingKey } from '../plugin/encryption.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { tampered } from '../plugin-kit/sealed-blocks.js'
import { bodyOf } from '../plugin-kit/streams.js'
import { PITR_FOLDER } from '../store/layout/names.js'

/**
 * Wrapping keys lie beside what they protect, sealed with the configured key: one for a replica set's part of a backup,
 * one for a day of chunks and the process that stores them. Changing the configured key rewrites these alone, each
 * atomically, so that at every moment each of them opens with the old key or with the new one.
 */
const FOLDER = 'pbmkit.keys'
const SECRET_BYTES = 32
/** No sealed wrapping key is larger. */
const MOST_BYTES = 64 * 1024

/**
 * The folder whose objects share a wrapping key, with its slash: `<backup>/<rs>/`, `pbmPitr/<rs>/<day>/`. It is the
 * same however deep an object lies in it.
 */
export function keyScope(object: string): string {
  const segments = object.split('/')
  const depth = segments[0] === PITR_FOLDER ? 3 : 2
  return `${segments.slice(0, Math.min(depth, segments.length - 1)).join('/')}/`
}

export function keyObjectName(scope: string, id: string): string {
  return `${scope}${FOLDER}/${id}`
}

export function isKeyObject(object: string): boolean {
  return /(?:^|\/)pbmkit\.keys\/[0-9a-f]{32}$/.test(object)
}

/** Makes a wrapping key and stores it; what it is sealed with is durable before anything is sealed with it. */
export async function createWrappingKey(
  store: ObjectStore,
  scope: string,
  cipher: Cipher,
  options: CallOptions = {},
): Promise<WrappingKey> {
  const key = { id: randomBytes(16).toString('hex'), secret: randomBytes(SECRET_BYTES) }
  await store.save(keyObjectName(scope, key.id), cipher.seal(bodyOf(key.secret)), options)
  return key
}

/** The bytes of a stored wrapping key, still sealed. Rejects with the codes of a storage. */
export async function readKeyObject(store: ObjectStore, name: string, options: CallOptions = {}): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of await store.read(name, options)) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) throw tampered(`${name} is too large to be a key`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Rejects with the codes of {@link Cipher.open}. */
export async function openKeyObject(sealed: Buffer, name: string, cipher: Cipher): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of cipher.open(bodyOf(sealed))) chunks.push(chunk)
  const secret = Buffer.concat(chunks)
  if (secret.length !== SECRET_BYTES) throw tampered(`${name} does not hold a key`)
  return secret
}
