import { tampered, truncated } from '@pbmkit/core/plugin/kit'

/**
 * What a sealed object begins with:
 *
 *     bytes   what
 *     8       magic, "pbmkAGCM"
 *     1       version of the format: 1, or 2 for an object that is bound to its name
 *     1       binary logarithm of the block size in bytes, 12 to 24
 *     1       length of the key's id, 1 to 64
 *     n       the key's id, ASCII: the configured key's (16 digits), or a wrapping key's (32 digits)
 *     12      nonce of the wrapped data key
 *     32 + 16 data key, wrapped: AES-256-GCM under that key, with all bytes before the nonce as associated data
 *     7       prefix of the nonces of the blocks
 *
 * All of it is associated data of every block; in version 2 the object's name, UTF-8, follows it there.
 */
export interface Header {
  readonly blockSize: number
  /** Whether the object's name is needed to open it. */
  readonly isBound: boolean
  readonly keyId: string
  readonly wrapNonce: Buffer
  readonly wrappedKey: Buffer
  readonly noncePrefix: Buffer
  /** The associated data of the wrapped key. */
  readonly wrapContext: Buffer
  readonly bytes: Buffer
}

export const WRAP_NONCE_BYTES = 12
export const WRAPPED_KEY_BYTES = 48
export const NONCE_PREFIX_BYTES = 7

const MAGIC = Buffer.from('pbmkAGCM', 'latin1')
const UNBOUND = 1
const BOUND = 2
const FIXED_BYTES = MAGIC.length + 3
const LONGEST_ID = 64
const TAIL_BYTES = WRAP_NONCE_BYTES + WRAPPED_KEY_BYTES + NONCE_PREFIX_BYTES
/** The longest header. */
export const HEAD_BYTES = FIXED_BYTES + LONGEST_ID + TAIL_BYTES
/** What an object sealed here calls itself in messages. */
export const FORMAT = 'object sealed by aes-gcm'

/** The bytes before the nonce of the wrapped key. */
export function wrapContext(blockSize: number, keyId: string, isBound: boolean): Buffer {
  return Buffer.concat([
    MAGIC,
    Buffer.from([isBound ? BOUND : UNBOUND, Math.log2(blockSize), keyId.length]),
    Buffer.from(keyId, 'latin1'),
  ])
}

/** How many bytes the header has, by its first {@link FIXED_BYTES} bytes; checks them. */
export function headerLength(start: Buffer): number {
  if (!start.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, Math.min(start.length, MAGIC.length)))) {
    throw tampered(`this is no ${FORMAT}`)
  }
  if (start.length < FIXED_BYTES) throw truncated(`the ${FORMAT} is cut off in its header`)
  const [version = 0, log = 0, idLength = 0] = start.subarray(MAGIC.length)
  if (version !== UNBOUND && version !== BOUND) {
    throw tampered(`the ${FORMAT} is of version ${version} of the format; this reads ${UNBOUND} and ${BOUND}`)
  }
  if (log < 12 || log > 24) throw tampered(`the header of the ${FORMAT} is altered: its block size is out of range`)
  if (idLength < 1 || idLength > LONGEST_ID) {
    throw tampered(`the header of the ${FORMAT} is altered: the length of its key id is out of range`)
  }
  return FIXED_BYTES + idLength + TAIL_BYTES
}

/** Reads the header at the beginning of `bytes`. Throws `ENCRYPTION_TAMPERED` and `CODEC_TRUNCATED`. */
export function readHeader(bytes: Buffer): Header {
  const length = headerLength(bytes.subarray(0, FIXED_BYTES))
  if (bytes.length < length) throw truncated(`the ${FORMAT} is cut off in its header`)
  const idEnd = length - TAIL_BYTES
  const keyId = bytes.toString('latin1', FIXED_BYTES, idEnd)
  if (!/^[0-9a-f]+$/.test(keyId)) throw tampered(`the header of the ${FORMAT} is altered: it names no key`)
  const nonceEnd = idEnd + WRAP_NONCE_BYTES
  const keyEnd = nonceEnd + WRAPPED_KEY_BYTES
  return {
    isBound: bytes[MAGIC.length] === BOUND,
    blockSize: 2 ** bytes.readUInt8(MAGIC.length + 1),
    keyId,
    wrapContext: bytes.subarray(0, idEnd),
    wrapNonce: bytes.subarray(idEnd, nonceEnd),
    wrappedKey: bytes.subarray(nonceEnd, keyEnd),
    noncePrefix: bytes.subarray(keyEnd, length),
    bytes: bytes.subarray(0, length),
  }
}

export { FIXED_BYTES }
