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

/**
 * Reads keys: one on each line, 32 bytes in Base64 or hexadecimal; empty lines and those that begin with `#` don't
 * count. Throws `ENCRYPTION_KEY_WRONG` with the number of a line that is none, and never what stands there.
 */
export function parseKeyring(text: string): Keyring {
  const keys = new Map<string, Key>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const written = line.trim()
    if (written === '' || written.startsWith('#')) continue
    const secret = decode(written)
    if (secret === undefined) {
      throw new PluginError(
        'ENCRYPTION_KEY_WRONG',
        `line ${index + 1} of the encryption keys is no key of 32 bytes in Base64 or hexadecimal; make one with: openssl rand -base64 32`,
      )
    }
    const id = idOf(secret)
    if (!keys.has(id)) keys.set(id, { id, secret })
  }
  const [first, ...others] = keys.values()
  if (first === undefined) {
    throw new PluginError('ENCRYPTION_KEY_MISSING', 'there is no encryption key among the lines that were read')
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
