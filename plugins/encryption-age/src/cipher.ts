import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'
import { PluginError } from '@pbmkit/core/plugin'
import { ByteReader, openBlocks, restOf, sealBlocks, tampered } from '@pbmkit/core/plugin/kit'
import { checkMac, FORMAT, type Header, readHeader, writeHeader } from './header.js'
import { type Identity, type Recipient, unwrap, wrap } from './x25519.js'

const ALGORITHM = 'chacha20-poly1305'
const FILE_KEY_BYTES = 16
const NONCE_BYTES = 16
const TAG_BYTES = 16
const BLOCK_BYTES = 64 * 1024

export async function* seal(
  source: AsyncIterable<Uint8Array>,
  recipients: readonly Recipient[],
): AsyncGenerator<Buffer> {
  const fileKey = randomBytes(FILE_KEY_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const stanzas = recipients.map((recipient) => wrap(fileKey, recipient))
  yield Buffer.concat([writeHeader(stanzas, fileKey), nonce])
  const key = payloadKey(fileKey, nonce)
  yield* sealBlocks(source, BLOCK_BYTES, (block, index, last) => {
    const cipher = createCipheriv(ALGORITHM, key, blockNonce(index, last), { authTagLength: TAG_BYTES })
    const encrypted = cipher.update(block)
    cipher.final()
    return [encrypted, cipher.getAuthTag()]
  })
}

export async function* open(
  source: AsyncIterable<Uint8Array>,
  identitiesOf: () => Promise<readonly Identity[]>,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, FORMAT)
  try {
    const header = await readHeader(reader)
    const fileKey = findFileKey(header, await identitiesOf())
    checkMac(header, fileKey)
    const key = payloadKey(fileKey, await reader.take(NONCE_BYTES))
    yield* openBlocks(restOf(reader), {
      size: BLOCK_BYTES,
      overhead: TAG_BYTES,
      format: FORMAT,
      open: (sealed, index, last) => decrypt(sealed, key, blockNonce(index, last)),
    })
  } finally {
    await reader.close()
  }
}

function findFileKey({ stanzas }: Header, identities: readonly Identity[]): Buffer {
  // A passphrase stands alone, or somebody who knows it could pass a file off as another recipient's.
  if (stanzas.some(({ type }) => type === 'scrypt') && stanzas.length > 1) {
    throw tampered(`the header of the ${FORMAT} is altered: a passphrase has to be its only recipient`)
  }
  for (const stanza of stanzas) {
    for (const identity of identities) {
      const fileKey = unwrap(stanza, identity)
      if (fileKey !== undefined) return fileKey
    }
  }
  const tried = identities.map(({ recipient }) => recipient.text).join(', ')
  throw new PluginError('ENCRYPTION_KEY_WRONG', `none of the identities at hand opens it; they are those of ${tried}`)
}

function decrypt(sealed: Uint8Array, key: KeyObject, nonce: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(0, end))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}

/** An object for the key, as a cipher is set up for each block: Node.js takes ten times as long to do so with bare bytes. */
function payloadKey(fileKey: Buffer, nonce: Buffer): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32)))
}

/** Eleven bytes of the block's number, and one that marks the last block. */
function blockNonce(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(index, 5, 6)
  nonce.writeUInt8(last ? 1 : 0, 11)
  return nonce
}
