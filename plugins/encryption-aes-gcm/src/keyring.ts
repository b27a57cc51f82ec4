import { createHash } from 'node:crypto'
import { PluginError } from '@pbmkit/core/plugin'

export const KEY_BYTES = 32

export interface Key {
  /** 16 lower-case hexadecimal digits, which follow from the key and tell nothing of it. */
  readonly id: string
  readonly secret: Buffer
}

/** In the order of the file; the first one seals. Never empty. */
export type Keyring = readonly [Key, ...Key[]]

const HINT =
  'a key is 32 random bytes, alone on its line: 44 characters of Base64, as openssl rand -base64 32 makes them, or 64 ' +
  'hexadecimal digits; lines that begin with # are comments'

/**
 * Reads keys: one on each line, 32 bytes in Base64 or hexadecimal; empty lines and those that begin with `#` don't
 * count. Throws `ENCRYPTION_KEY_WRONG` with the number of a line that is none, and never what stands there. `place` is
 * where `text` was read.
 */
export function parseKeyring(text: string, place: string): Keyring {
  const keys = new Map<string, Key>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const written = line.trim()
    if (written === '' || written.startsWith('#')) continue
    const secret = decode(written)
    if (secret === undefined) {
      const message = `line ${index + 1} of ${place} is no encryption key: ${faultOf(written)}`
      throw new PluginError('ENCRYPTION_KEY_WRONG', message, { hint: HINT })
    }
    const id = idOf(secret)
    if (!keys.has(id)) keys.set(id, { id, secret })
  }
  const [first, ...others] = keys.values()
  if (first === undefined) {
    const message = `no encryption key is in ${place}, only comments`
    throw new PluginError('ENCRYPTION_KEY_MISSING', message, { hint: HINT })
  }
  return [first, ...others]
}

/** Keys are random bytes, so nothing of them can be found from a part of their hash. */
function idOf(secret: Buffer): string {
  return createHash('sha256').update('pbmkit aes-gcm key id\0').update(secret).digest('hex').slice(0, 16)
}

function decode(written: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(written)) return Buffer.from(written, 'hex')
  if (/^[A-Za-z0-9+/]{43}=?$/.test(written)) return Buffer.from(written, 'base64')
  return undefined
}

/** What is wrong with a line that is no key. */
function faultOf(written: string): string {
  if (/^AGE-SECRET-KEY-/i.test(written)) return 'it is an identity of age'
  if (/^[0-9a-f]+$/i.test(written)) return `it has ${written.length} hexadecimal digits`
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(written)) return `in Base64 it has ${Buffer.from(written, 'base64').length} bytes`
  return 'it has characters that neither Base64 nor hexadecimal has'
}
