import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { PluginError } from '@pbmkit/core/plugin'
import { ByteReader, openBlocks, restOf, sealBlocks, tampered, truncated } from '@pbmkit/core/plugin/kit'

/**
 * A sample format over ChaCha20-Poly1305. An object is a header and blocks:
 *
 *   magic | id of the key | nonce | data key, sealed by the key | prefix of the blocks' nonces
 *
 * Each object has a data key of its own. The nonce of a block holds its number and whether it is the last one, so that
 * blocks can't be reordered, left out or cut off; the header is authenticated with every block.
 */
export interface Key {
  readonly id: string
  readonly secret: Buffer
}

const MAGIC = Buffer.from('__NAME__\n')
const ALGORITHM = 'chacha20-poly1305'
const ID_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const SEALED_KEY_BYTES = 32 + TAG_BYTES
const PREFIX_BYTES = 7
const HEADER_BYTES = MAGIC.length + ID_BYTES + NONCE_BYTES + SEALED_KEY_BYTES + PREFIX_BYTES
const BLOCK_BYTES = 64 * 1024

export async function* sealObject(source: AsyncIterable<Uint8Array>, key: Key): AsyncGenerator<Buffer> {
  const dataKey = randomBytes(32)
  const named = Buffer.concat([MAGIC, Buffer.from(key.id)])
  const nonce = randomBytes(NONCE_BYTES)
  const prefix = randomBytes(PREFIX_BYTES)
  const header = Buffer.concat([named, nonce, sealed(key.secret, nonce, named, dataKey), prefix])
  yield header
  yield* sealBlocks(source, BLOCK_BYTES, (block, index, last) => [
    sealed(dataKey, blockNonce(prefix, index, last), header, block),
  ])
}

export async function* openObject(source: AsyncIterable<Uint8Array>, key: Key): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, '__NAME__ object')
  try {
    const magic = await reader.take(MAGIC.length)
    if (!magic.equals(MAGIC)) throw tampered('this is no object of __NAME__')
    const header = Buffer.concat([magic, await reader.take(HEADER_BYTES - MAGIC.length)])
    const id = idIn(header)
    if (id !== key.id) throw new PluginError('ENCRYPTION_KEY_MISSING', `sealed with key ${id}, at hand is ${key.id}`)
    const at = MAGIC.length + ID_BYTES
    const nonce = header.subarray(at, at + NONCE_BYTES)
    const wrapped = header.subarray(at + NONCE_BYTES, at + NONCE_BYTES + SEALED_KEY_BYTES)
    const dataKey = opened(key.secret, nonce, header.subarray(0, at), wrapped)
    if (dataKey === undefined) throw tampered('the header is altered')
    const prefix = header.subarray(-PREFIX_BYTES)
    yield* openBlocks(restOf(reader), {
      size: BLOCK_BYTES,
      overhead: TAG_BYTES,
      format: '__NAME__ object',
      open: (block, index, last) => opened(dataKey, blockNonce(prefix, index, last), header, block),
    })
  } finally {
    await reader.close()
  }
}

/** The id of the key that sealed the object which begins so. */
export function keyIdOf(head: Uint8Array): string {
  const bytes = Buffer.from(head)
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC.subarray(0, bytes.length))) throw tampered('no object of __NAME__')
  if (bytes.length < MAGIC.length + ID_BYTES) throw truncated('the object ends in its header')
  return idIn(bytes)
}

/** Only digits: an altered header must not put anything else into a message. */
function idIn(header: Buffer): string {
  const id = header.toString('latin1', MAGIC.length, MAGIC.length + ID_BYTES)
  if (!/^[0-9a-f]{16}$/.test(id)) throw tampered('the header is altered')
  return id
}

function blockNonce(prefix: Buffer, index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES, last ? 1 : 0)
  prefix.copy(nonce)
  nonce.writeUInt32BE(index, PREFIX_BYTES)
  return nonce
}

function sealed(key: Buffer, nonce: Buffer, context: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(context, { plaintextLength: plain.length })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function opened(key: Buffer, nonce: Buffer, context: Buffer, bytes: Uint8Array): Buffer | undefined {
  if (bytes.length < TAG_BYTES) return undefined
  const end = bytes.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(context, { plaintextLength: end })
  decipher.setAuthTag(bytes.subarray(end))
  const plain = decipher.update(bytes.subarray(0, end))
  try {
    return Buffer.concat([plain, decipher.final()])
  } catch {
    return undefined
  }
}
