import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { PluginError } from '@pbmkit/core/plugin'
import { tampered } from '@pbmkit/core/plugin/kit'
import { decodeBech32, encodeBech32 } from './bech32.js'
import { fromBase64, type Stanza, toBase64 } from './header.js'

/** Whom an object is sealed for. */
export interface Recipient {
  /** `age1…`: public. */
  readonly text: string
  readonly key: KeyObject
  readonly raw: Buffer
}

/** Who can open it. */
export interface Identity {
  readonly key: KeyObject
  /** The recipient of the same pair. */
  readonly recipient: Recipient
}

const KEY_BYTES = 32
const FILE_KEY_BYTES = 16
const TAG_BYTES = 16
const LABEL = 'age-encryption.org/v1/X25519'
/** DER in front of 32 raw bytes: SubjectPublicKeyInfo and PKCS #8 of X25519 (RFC 8410). */
const PUBLIC_DER = Buffer.from('302a300506032b656e032100', 'hex')
const PRIVATE_DER = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** Throws `ENCRYPTION_KEY_WRONG` for what is no recipient. */
export function parseRecipient(text: string): Recipient {
  if (/AGE-SECRET-KEY-/i.test(text)) {
    throw new PluginError(
      'ENCRYPTION_KEY_WRONG',
      'a secret identity (AGE-SECRET-KEY-…) stands where a recipient belongs (age1…)',
      { hint: 'take it out, and use it no more; age-keygen -y prints the recipient of an identity' },
    )
  }
  const raw = decodeBech32(text.trim(), 'age')
  if (raw?.length !== KEY_BYTES) {
    const shown = JSON.stringify(text.slice(0, 80))
    // A `1` ends the kind of a recipient, and never stands in what follows.
    const isOther = /^\s*age1[a-z0-9-]+1/i.test(text)
    const what = isOther
      ? 'is a recipient for a plugin of age, or of a newer kind, and only X25519 is taken'
      : 'is no age recipient (age1…)'
    throw new PluginError('ENCRYPTION_KEY_WRONG', `${shown} ${what}`, {
      hint: 'age-keygen -y prints the recipient of an identity: 62 characters, the last ones a checksum',
    })
  }
  return recipientOf(raw)
}

const IDENTITY_HINT =
  'an identity is a line of 74 characters that begins with AGE-SECRET-KEY-1, as age-keygen writes it; lines that begin ' +
  'with # are comments'

/**
 * Reads a file of `age-keygen`: an identity on each line, `#` before comments. Throws without telling what stands there.
 * `place` is where `text` was read.
 */
export function parseIdentities(text: string, place: string): Identity[] {
  const identities: Identity[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const written = line.trim()
    if (written === '' || written.startsWith('#')) continue
    const raw = decodeBech32(written, 'age-secret-key-')
    if (raw?.length !== KEY_BYTES) {
      const message = `line ${index + 1} of ${place} is no age identity: ${identityFault(written)}`
      throw new PluginError('ENCRYPTION_KEY_WRONG', message, { hint: IDENTITY_HINT })
    }
    const key = createPrivateKey({ key: Buffer.concat([PRIVATE_DER, raw]), format: 'der', type: 'pkcs8' })
    identities.push({ key, recipient: recipientOf(rawPublic(createPublicKey(key))) })
  }
  if (identities.length === 0) {
    const message = `no age identity is in ${place}, only comments`
    throw new PluginError('ENCRYPTION_KEY_MISSING', message, { hint: IDENTITY_HINT })
  }
  return identities
}

function identityFault(written: string): string {
  if (/^AGE-SECRET-KEY-1/i.test(written)) return 'its checksum is wrong, so something was lost or mistyped'
  if (/^age1/i.test(written)) return 'it is a recipient, which is the public half of one'
  if (/^(?:age-encryption\.org|-----BEGIN AGE)/.test(written))
    return 'that is sealed with age itself (by a passphrase?)'
  if (/^-----BEGIN/.test(written)) return 'that is a key of another kind'
  return 'it does not begin with AGE-SECRET-KEY-1'
}

export function wrap(fileKey: Buffer, recipient: Recipient): Stanza {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const share = rawPublic(publicKey)
  const secret = diffieHellman({ privateKey, publicKey: recipient.key })
  const cipher = createCipheriv('chacha20-poly1305', wrapKey(secret, share, recipient.raw), Buffer.alloc(12), {
    authTagLength: TAG_BYTES,
  })
  const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()])
  return { type: 'X25519', args: [toBase64(share)], body }
}

/** The file key; undefined where the stanza is for somebody else. Throws `ENCRYPTION_TAMPERED` for a malformed one. */
export function unwrap({ type, args, body }: Stanza, { key, recipient }: Identity): Buffer | undefined {
  if (type !== 'X25519') return undefined
  const share = args.length === 1 ? fromBase64(args[0] ?? '') : undefined
  if (share?.length !== KEY_BYTES || body.length !== FILE_KEY_BYTES + TAG_BYTES) {
    throw tampered('the header of the age file is altered: its X25519 stanza is malformed')
  }
  let secret: Buffer
  try {
    secret = diffieHellman({ privateKey: key, publicKey: publicKeyOf(share) })
  } catch (error) {
    // A point of low order gives nothing but zeros, whatever the key.
    throw tampered('the header of the age file is altered: its X25519 share is of low order', error)
  }
  if (secret.every((byte) => byte === 0)) {
    throw tampered('the header of the age file is altered: its X25519 share is of low order')
  }
  const decipher = createDecipheriv('chacha20-poly1305', wrapKey(secret, share, recipient.raw), Buffer.alloc(12), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES))
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES))
  try {
    decipher.final()
    return fileKey
  } catch {
    return undefined
  }
}

function wrapKey(secret: Buffer, share: Buffer, recipient: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([share, recipient]), LABEL, KEY_BYTES))
}

function recipientOf(raw: Buffer): Recipient {
  return { text: encodeBech32(raw, 'age'), raw, key: publicKeyOf(raw) }
}

function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({ key: Buffer.concat([PUBLIC_DER, raw]), format: 'der', type: 'spki' })
}

function rawPublic(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(PUBLIC_DER.length)
}
