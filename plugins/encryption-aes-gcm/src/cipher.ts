import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { type Cipher, type OpenOptions, PluginError, type SealOptions } from '@pbmkit/core/plugin'
import { ByteReader, openBlocks, restOf, sealBlocks, tampered } from '@pbmkit/core/plugin/kit'
import {
  FIXED_BYTES,
  FORMAT,
  type Header,
  headerLength,
  NONCE_PREFIX_BYTES,
  readHeader,
  WRAP_NONCE_BYTES,
  wrapContext,
} from './header.js'
import { KEY_BYTES, type Key, type Keyring } from './keyring.js'

const ALGORITHM = 'aes-256-gcm'
const TAG_BYTES = 16
/** Large enough that the cost of a cipher's set-up does not count, small enough to hold several streams' blocks. */
const BLOCK_BYTES = 256 * 1024
/** What the four bytes of a block's number can count: 1 PiB in all. */
const MOST_BLOCKS = 2 ** 32

export function openCipher(keyring: Keyring): Cipher {
  const byId = new Map(keyring.map((key) => [key.id, key]))
  return {
    keyIds: [keyring[0].id],
    wrapsKeys: true,
    authenticates: true,
    bindsNames: true,
    seal: (source, options = {}) => seal(source, options.under ?? keyring[0], options.boundTo),
    open: (source, options = {}) => open(source, byId, options),
  }
}

// A cipher is set up for each block: Node.js takes ten times as long to do so with the bare bytes of a key.
async function* seal(
  source: AsyncIterable<Uint8Array>,
  key: NonNullable<SealOptions['under']>,
  boundTo: string | undefined,
): AsyncGenerator<Buffer> {
  checkKey(key)
  const dataKey = randomBytes(KEY_BYTES)
  const context = wrapContext(BLOCK_BYTES, key.id, boundTo !== undefined)
  const wrapNonce = randomBytes(WRAP_NONCE_BYTES)
  const wrapped = Buffer.concat(encrypt(key.secret, wrapNonce, context, dataKey))
  const blockKey = createSecretKey(dataKey)
  const prefix = randomBytes(NONCE_PREFIX_BYTES)
  const header = Buffer.concat([context, wrapNonce, wrapped, prefix])
  yield header
  const bound = boundTo === undefined ? header : boundContext(header, boundTo)
  yield* sealBlocks(source, BLOCK_BYTES, (block, index, last) =>
    encrypt(blockKey, blockNonce(prefix, index, last), bound, block),
  )
}

async function* open(
  source: AsyncIterable<Uint8Array>,
  keys: ReadonlyMap<string, Key>,
  options: OpenOptions,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, FORMAT)
  try {
    const header = await takeHeader(reader)
    const blockKey = createSecretKey(await unwrap(header, keys, options))
    const { noncePrefix, bytes, blockSize, isBound } = header
    const bound = isBound ? boundContext(bytes, options.boundTo) : bytes
    yield* openBlocks(restOf(reader), {
      size: blockSize,
      overhead: TAG_BYTES,
      format: FORMAT,
      open: (block, index, last) => decrypt(blockKey, blockNonce(noncePrefix, index, last), bound, block),
    })
  } finally {
    await reader.close()
  }
}

/** What is no sealed object is told from a cut one by its first bytes, however few there are. */
async function takeHeader(reader: ByteReader): Promise<Header> {
  let start = Buffer.alloc(0)
  while (start.length < FIXED_BYTES && !(await reader.atEnd())) {
    start = Buffer.concat([start, await reader.takeSome(FIXED_BYTES - start.length)])
  }
  const rest = await reader.take(headerLength(start) - start.length)
  return readHeader(Buffer.concat([start, rest]))
}

async function unwrap(header: Header, keys: ReadonlyMap<string, Key>, options: OpenOptions): Promise<Buffer> {
  const { keyId } = header
  const secret = keys.get(keyId)?.secret ?? (await options.wrappingKey?.(keyId))
  if (secret === undefined) {
    const known = [...keys.keys()].join(', ')
    throw new PluginError(
      'ENCRYPTION_KEY_MISSING',
      `it is sealed with key ${keyId}, which is not at hand; there is ${known}`,
    )
  }
  checkKey({ id: keyId, secret })
  const dataKey = decrypt(secret, header.wrapNonce, header.wrapContext, header.wrappedKey)
  if (dataKey !== undefined) return dataKey
  // The id of a configured key follows from the key itself: with the right id it is the right key.
  if (keys.has(keyId)) throw tampered(`the header of the ${FORMAT} is altered (key ${keyId})`)
  throw new PluginError('ENCRYPTION_KEY_WRONG', `it does not open with key ${keyId}: the key or the header is altered`)
}

function checkKey({ id, secret }: NonNullable<SealOptions['under']>): void {
  if (secret.length !== KEY_BYTES || !/^[0-9a-f]{1,64}$/.test(id)) {
    throw new PluginError('ENCRYPTION_KEY_WRONG', `wrapping key ${id} has not 32 bytes, or its id is none`)
  }
}

/** The associated data of the blocks of an object that opens under its own name only. */
function boundContext(header: Buffer, boundTo: string | undefined): Buffer {
  if (boundTo === undefined) throw tampered(`the ${FORMAT} opens under its own name only, and none is given`)
  return Buffer.concat([header, Buffer.from(boundTo)])
}

/** Ciphertext and tag. */
function encrypt(key: Uint8Array | KeyObject, nonce: Buffer, context: Buffer, plain: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(context)
  const encrypted = cipher.update(plain)
  cipher.final()
  return [encrypted, cipher.getAuthTag()]
}

/** undefined for what does not authenticate. */
function decrypt(key: Uint8Array | KeyObject, nonce: Buffer, context: Buffer, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(context)
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES))
  try {
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}

/** Seven bytes of the object's, four of the block's number and one that marks the last block. */
function blockNonce(prefix: Buffer, index: number, last: boolean): Buffer {
  if (index >= MOST_BLOCKS) throw tampered(`the ${FORMAT} has more blocks than the format can have`)
  const nonce = Buffer.alloc(NONCE_PREFIX_BYTES + 5)
  prefix.copy(nonce)
  nonce.writeUInt32BE(index, NONCE_PREFIX_BYTES)
  nonce.writeUInt8(last ? 1 : 0, NONCE_PREFIX_BYTES + 4)
  return nonce
}
