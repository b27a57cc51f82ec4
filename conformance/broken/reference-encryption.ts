import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { type Cipher, type EncryptionPlugin, PluginError, type WrappingKey } from '@pbmkit/core/plugin'
import { ByteReader, openBlocks, restOf, sealBlocks, tampered, truncated } from '@pbmkit/core/plugin/kit'

/** The first key seals, all open. In the options themselves, as no real plugin may have them. */
export interface ReferenceOptions {
  readonly keys?: readonly string[]
}

/** The parts that a broken plugin does otherwise. */
export interface Parts {
  readonly dataKey: () => Buffer
  readonly prefix: () => Buffer
  readonly nonce: (prefix: Buffer, index: number, last: boolean) => Buffer
  readonly context: (header: Buffer, boundTo: string | undefined) => Buffer
  readonly openBlocks: typeof openBlocks
  /** What opening a block gives that does not authenticate. */
  readonly unauthentic: (plain: Buffer) => Buffer | undefined
  readonly unwrapped: (key: Buffer | undefined, wrapped: Buffer) => Buffer | undefined
  /** Looked for instead of the whole magic. */
  readonly isMagic: (magic: Buffer) => boolean
}

const MAGIC = Buffer.from('refE1')
const ID_BYTES = 32
/** With a last one that says whether the object is bound to its name. */
const NAMED_BYTES = MAGIC.length + ID_BYTES + 1
const HEADER_BYTES = NAMED_BYTES + 12 + 48 + 7
const BLOCK_BYTES = 4096
const TAG_BYTES = 16

const RIGHT: Parts = {
  dataKey: () => randomBytes(32),
  prefix: () => randomBytes(7),
  nonce: (prefix, index, last) => {
    const nonce = Buffer.alloc(12, last ? 1 : 0)
    prefix.copy(nonce)
    nonce.writeUInt32BE(index, 7)
    return nonce
  },
  context: (header, boundTo) => (boundTo === undefined ? header : Buffer.concat([header, Buffer.from(boundTo)])),
  openBlocks,
  unauthentic: () => undefined,
  unwrapped: (key) => key,
  isMagic: (magic) => magic.equals(MAGIC),
}

/** AES-256-GCM as plain as can be; the broken plugins differ from it in one part each. */
export function referenceEncryption(parts: Partial<Parts> = {}): EncryptionPlugin<ReferenceOptions> {
  const all = { ...RIGHT, ...parts }
  return {
    kind: 'encryption',
    name: 'reference',
    apiVersion: 1,
    optionsSchema: {
      type: 'object',
      additionalProperties: false,
      properties: { keys: { type: 'array', items: { type: 'string' } } },
    },
    async open({ keys = [] }) {
      const ring = keys.map((key) => ({ id: idOf(key), secret: Buffer.from(key, 'hex') }))
      const [first] = ring
      if (first === undefined) throw new PluginError('ENCRYPTION_KEY_MISSING', 'there is no key')
      const byId = new Map(ring.map((key) => [key.id, key.secret]))
      const cipher: Cipher = {
        keyIds: [first.id],
        wrapsKeys: true,
        bindsNames: true,
        seal: (source, options = {}) => seal(source, options.under ?? first, all, options.boundTo),
        async *open(source, { wrappingKey, boundTo } = {}) {
          yield* open(source, async (id) => byId.get(id) ?? (await wrappingKey?.(id)), all, boundTo)
        },
      }
      return cipher
    },
    keysOf: (head) => {
      checkMagic(Buffer.from(head), RIGHT)
      return [Buffer.from(head).toString('latin1', MAGIC.length, MAGIC.length + ID_BYTES)]
    },
  }
}

async function* seal(
  source: AsyncIterable<Uint8Array>,
  key: WrappingKey,
  parts: Parts,
  boundTo: string | undefined,
): AsyncGenerator<Buffer> {
  const dataKey = parts.dataKey()
  const wrapNonce = randomBytes(12)
  const kind = Buffer.from([boundTo === undefined ? 0 : 1])
  const named = Buffer.concat([MAGIC, Buffer.from(key.id.padEnd(ID_BYTES)), kind])
  const wrapped = encrypt(key.secret, wrapNonce, named, dataKey)
  const prefix = parts.prefix()
  const header = Buffer.concat([named, wrapNonce, wrapped, prefix])
  yield header
  const context = parts.context(header, boundTo)
  yield* sealBlocks(source, BLOCK_BYTES, (block, index, last) => [
    encrypt(dataKey, parts.nonce(prefix, index, last), context, block),
  ])
}

async function* open(
  source: AsyncIterable<Uint8Array>,
  keyOf: (id: string) => Promise<Uint8Array | undefined>,
  parts: Parts,
  boundTo: string | undefined,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source, 'object')
  try {
    checkMagic(await reader.take(MAGIC.length), parts)
    const header = Buffer.concat([MAGIC, await reader.take(HEADER_BYTES - MAGIC.length)])
    const named = header.subarray(0, NAMED_BYTES)
    const isBound = named.at(-1) === 1
    if (isBound && boundTo === undefined) throw tampered('bound to a name')
    const id = named.toString('latin1', MAGIC.length, NAMED_BYTES - 1)
    const secret = await keyOf(id.trimEnd())
    if (secret === undefined) throw new PluginError('ENCRYPTION_KEY_MISSING', `sealed with key ${id}`)
    const wrapped = header.subarray(NAMED_BYTES + 12, NAMED_BYTES + 60)
    const plain = decrypt(secret, header.subarray(NAMED_BYTES, NAMED_BYTES + 12), named, wrapped, parts.unwrapped)
    if (plain === undefined) throw tampered('the header is altered')
    const prefix = header.subarray(NAMED_BYTES + 60)
    const context = parts.context(header, isBound ? boundTo : undefined)
    yield* parts.openBlocks(restOf(reader), {
      size: BLOCK_BYTES,
      overhead: TAG_BYTES,
      format: 'object',
      open: (block, index, last) =>
        decrypt(plain, parts.nonce(prefix, index, last), context, block, (opened, raw) =>
          opened === undefined ? parts.unauthentic(raw) : opened,
        ),
    })
  } finally {
    await reader.close()
  }
}

function checkMagic(bytes: Buffer, { isMagic }: Parts): void {
  if (!isMagic(bytes.subarray(0, MAGIC.length))) throw tampered('no sealed object')
  if (bytes.length < MAGIC.length) throw truncated('cut')
}

function idOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, ID_BYTES)
}

function encrypt(key: Uint8Array, nonce: Buffer, context: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context)
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(
  key: Uint8Array,
  nonce: Buffer,
  context: Buffer,
  sealed: Uint8Array,
  result: (opened: Buffer | undefined, raw: Buffer) => Buffer | undefined,
): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(context)
  decipher.setAuthTag(sealed.subarray(end))
  const raw = decipher.update(sealed.subarray(0, end))
  try {
    decipher.final()
    return result(raw, raw)
  } catch {
    return result(undefined, raw)
  }
}
