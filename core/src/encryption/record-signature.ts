import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { WrappingKey } from '../plugin/encryption.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { backupFolder } from '../store/layout/names.js'
import type { Ciphers, OpenMethod } from './ciphers.js'
import { createWrappingKey, keyObjectName } from './key-objects.js'
import { loadWrappingKey } from './load-key.js'

/**
 * The record of a backup, `<name>.pbm.json`, is read by everybody, PBM too, so it can't be sealed. Where the encryption
 * method has a secret key, it is signed: HMAC-SHA256 over its own text, under a key of its own in
 * `<name>/pbmkit.keys/<id>`, which is sealed with the configured one and rewrapped as all others. What the record says is
 * thereby known to come from this cluster: names, times, which parts are sealed, and the checksums of the lists.
 */
interface Signature {
  readonly method: string
  readonly keyId: string
  readonly mac: string
}

const PURPOSE = 'pbmkit record of a backup'
/** What `toStorageJson` and `withChecksum` write at the end. */
const AT_END = /,\n\t"signature": "([^"\\\n]*)"(?:,\n\t"checksum": "[0-9a-f]{16}")?\n\}\s*$/

/** A record's text without the signature and the checksum, which is what is signed; undefined where it has none. */
export function signedText(record: string): { readonly text: string; readonly signature: string } | undefined {
  const found = AT_END.exec(record)
  if (found === null) return undefined
  return { text: `${record.slice(0, found.index)}\n}`, signature: found[1] ?? '' }
}

/** The signature for the text of a backup's record, under a new key; undefined where nothing signs. */
export async function signRecord(
  store: ObjectStore,
  method: OpenMethod | undefined,
  backup: string,
  text: string,
  options: CallOptions = {},
): Promise<string | undefined> {
  if (method === undefined || !signs(method)) return undefined
  const key = await createWrappingKey(store, backupFolder(backup), method.cipher, options)
  return signatureOf(method.name, key, text)
}

/** Whether records are signed with this method. */
export function signs({ cipher }: OpenMethod): boolean {
  return cipher.authenticates === true && cipher.wrapsKeys === true
}

/**
 * The key that a backup's record, as the storage has it, is signed with: it fits this very text. undefined where the record
 * is not signed, or not by who has the key. Rejects where the key can't be had: {@link loadWrappingKey}, and
 * `Ciphers.method`.
 */
export async function signingKey(
  store: ObjectStore,
  ciphers: Ciphers,
  backup: string,
  record: string,
  options: CallOptions = {},
): Promise<SigningKey | undefined> {
  const signed = signedText(record)
  const signature = signed && parseSignature(signed.signature)
  if (signed === undefined || signature === undefined) return undefined
  const method = await ciphers.method(signature.method)
  if (!signs(method)) return undefined
  const object = keyObjectName(backupFolder(backup), signature.keyId)
  const key = { id: signature.keyId, secret: await loadWrappingKey(store, object, method, options) }
  const [wanted, found] = [macOf(key, signed.text), Buffer.from(signature.mac, 'hex')]
  if (!timingSafeEqual(wanted, found)) return undefined
  return { sign: (text) => signatureOf(method.name, key, text) }
}

export interface SigningKey {
  /** The signature of another text of the same record. */
  sign(text: string): string
}

function signatureOf(method: string, key: WrappingKey, text: string): string {
  return `${method}:${key.id}:${macOf(key, text).toString('hex')}`
}

function macOf({ secret }: WrappingKey, text: string): Buffer {
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), PURPOSE, 32))
  return createHmac('sha256', key).update(text).digest()
}

function parseSignature(text: string): Signature | undefined {
  const [, method, keyId, mac] = /^([a-z0-9-]+):([0-9a-f]{32}):([0-9a-f]{64})$/.exec(text) ?? []
  return method === undefined || keyId === undefined || mac === undefined ? undefined : { method, keyId, mac }
}
