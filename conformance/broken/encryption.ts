import { type Cipher, type EncryptionPlugin, hasCode, PluginError } from '@pbmkit/core/plugin'
import { asBuffer, openBlocks, tampered } from '@pbmkit/core/plugin/kit'
import { type Parts, type ReferenceOptions, referenceEncryption } from './reference-encryption.js'

type Bytes = AsyncIterable<Uint8Array>
type Plugin = EncryptionPlugin<ReferenceOptions>

/** An encryption plugin that is wrong in one way, and the case of the suite that must find it. */
export interface BrokenEncryption {
  readonly plugin: Plugin
  readonly caught: string
}

const reference = referenceEncryption()

const broken = (caught: string, fault: Partial<Plugin>): BrokenEncryption => ({
  plugin: { ...reference, ...fault },
  caught,
})

const withParts = (caught: string, parts: Partial<Parts>): BrokenEncryption => ({
  plugin: referenceEncryption(parts),
  caught,
})

/** The reference with a cipher that differs. */
function withCipher(caught: string, change: (cipher: Cipher, keys: readonly string[]) => Partial<Cipher>) {
  return broken(caught, {
    open: async (options, context) => {
      const cipher = await reference.open(options, context)
      return { ...cipher, ...change(cipher, options.keys ?? []) }
    },
  })
}

async function gather(source: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* pieces(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function* inOnePiece(source: Bytes): AsyncGenerator<Uint8Array> {
  const bytes = await gather(source)
  if (bytes.length > 0) yield bytes
}

async function* inOneBuffer(source: Bytes): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(4096)
  for await (const chunk of source) {
    asBuffer(chunk).copy(buffer)
    yield buffer.subarray(0, chunk.length)
  }
}

async function* wiping(source: Bytes): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    yield Buffer.from(chunk)
    chunk.fill(0)
  }
}

/** Never closes the source: it is read by hand. */
async function* unclosed(source: Bytes): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) yield step.value
}

async function* renaming(rename: (error: unknown) => unknown, source: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    throw rename(error)
  }
}

async function* eager(bytes: Promise<Buffer>, seal: (source: Bytes) => Bytes): AsyncGenerator<Uint8Array> {
  yield* seal(pieces(await bytes))
}

/** Ends as if all were well where the object does. */
async function* takingCutForWhole(source: Bytes): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    if (!hasCode(error, 'CODEC_TRUNCATED')) throw error
  }
}

/** Checks all, but only after it has given all. */
const CHECKED_LATER: Partial<Parts> = {
  openBlocks: async function* (source, blocks) {
    let forged = false
    const open: typeof blocks.open = (sealed, index, last) => {
      const opened = blocks.open(sealed, index, last)
      if (opened !== undefined) return opened
      forged = true
      return Buffer.from(sealed.subarray(0, Math.max(0, sealed.length - blocks.overhead)))
    }
    yield* openBlocks(source, { ...blocks, open })
    if (forged) throw tampered('altered')
  },
}

const FIXED_KEY = Buffer.alloc(32, 7)

export const BROKEN_ENCRYPTIONS: Readonly<Record<string, BrokenEncryption>> = {
  'is of another kind': broken('is of the kind encryption and of API version 1', {
    kind: 'compression' as unknown as 'encryption',
  }),
  'has a name that can be no part of an object name': broken('has a name of lower-case letters, digits and dashes', {
    name: 'My.Cipher',
  }),
  'takes its key as an option': broken('has no option that holds a secret', {
    optionsSchema: {
      type: 'object',
      additionalProperties: false,
      properties: { keys: { type: 'array' }, password: { type: 'string', writeOnly: true } },
    },
  }),
  'names no key': withCipher('says which keys it seals for, in one line of text each', () => ({ keyIds: [] })),
  'names another key each time': withCipher('says the same of its keys each time', () => ({
    keyIds: [String(Math.random())],
  })),
  'names all keys alike': withCipher('has another id for another key', () => ({ keyIds: ['default'] })),
  'stores what it gets': withCipher('shows nothing of the content', () => ({
    seal: (source) => source,
    open: (source) => source,
  })),
  'has one data key for all objects': withParts('never uses a key stream twice', {
    dataKey: () => FIXED_KEY,
    prefix: () => Buffer.alloc(7),
  }),
  'does not count its blocks': withParts('seals alike blocks of one object differently', {
    nonce: (prefix, _index, last) => Buffer.concat([prefix, Buffer.from([0, 0, 0, 0, last ? 1 : 0])]),
  }),
  'does not mark the last block': withParts('refuses an object whose last block is gone', {
    nonce: (prefix, index) => Buffer.concat([prefix, Buffer.from([0, 0, index >> 8, index, 0])]),
  }),
  'has a data key of its own for each object, but no nonce of the block': withParts(
    'refuses two blocks that changed places',
    { nonce: (prefix, _index, last) => Buffer.concat([prefix, Buffer.from([0, 0, 0, 0, last ? 1 : 0])]) },
  ),
  'leaves the header unauthenticated and the data key the same': withParts(
    'refuses an object with the header of another',
    {
      dataKey: () => FIXED_KEY,
      prefix: () => Buffer.alloc(7),
      context: () => Buffer.alloc(0),
    },
  ),
  'takes blocks of other objects': withParts('refuses blocks of another object', {
    dataKey: () => FIXED_KEY,
    prefix: () => Buffer.alloc(7),
    context: () => Buffer.alloc(0),
  }),
  'does not look at tags': withParts('refuses every flipped bit', { unauthentic: (plain) => plain }),
  'gives bytes before it has checked them': withParts(
    'gives the blocks before an altered one, and not a byte of it',
    CHECKED_LATER,
  ),
  'takes any magic': withParts('refuses every flipped bit of an empty object', { isMagic: () => true }),
  'takes a cut object for whole': withCipher('refuses an object cut after its header', (cipher) => ({
    open: (source, options) => takingCutForWhole(cipher.open(source, options)),
  })),
  'takes no bytes for an empty object': withCipher('refuses what is no sealed object: no bytes', (cipher) => ({
    open: (source, options) => takingCutForWhole(cipher.open(source, options)),
  })),
  'drops what follows the end': withCipher('refuses an object followed by text', (cipher) => ({
    open: async function* (source, options) {
      const bytes = await gather(source)
      yield* cipher.open(
        pieces(bytes.toString('latin1').endsWith('and so on') ? bytes.subarray(0, -9) : bytes),
        options,
      )
    },
  })),
  'reads two objects in a row': withCipher('refuses two objects in a row', (cipher) => ({
    open: async function* (source, options) {
      const bytes = await gather(source)
      const second = bytes.indexOf('refE1', 1)
      yield* cipher.open(pieces(second < 0 ? bytes : bytes.subarray(0, second)), options)
      if (second > 0) yield* cipher.open(pieces(bytes.subarray(second)), options)
    },
  })),
  'throws errors without a code': withCipher('refuses what is no sealed object: text', (cipher) => ({
    open: (source, options) => renaming(() => new Error('bad data'), cipher.open(source, options)),
  })),
  'calls a missing key damage': withCipher('refuses an object that another key sealed', (cipher) => ({
    open: (source, options) =>
      renaming(
        (error) => (hasCode(error, 'ENCRYPTION_KEY_MISSING') ? tampered('damaged') : error),
        cipher.open(source, options),
      ),
  })),
  'shows its key in an error': withCipher('refuses an object that another key sealed', (cipher, keys) => ({
    open: (source, options) =>
      renaming(
        (error) =>
          hasCode(error, 'ENCRYPTION_KEY_MISSING')
            ? new PluginError('ENCRYPTION_KEY_MISSING', `does not open with ${keys.join()}`)
            : error,
        cipher.open(source, options),
      ),
  })),
  'makes up a key where there is none': broken('says that there is no key where the options lead to none', {
    open: ({ keys = [] }, context) => reference.open({ keys: keys.length === 0 ? ['00'.repeat(32)] : keys }, context),
  }),
  'forgets older keys': broken('opens with a newer key in front what the older one sealed', {
    open: ({ keys = [] }, context) => reference.open({ keys: keys.slice(0, 1) }, context),
  }),
  'seals with the oldest key': broken('seals with the newer key in front, which the older one does not open', {
    open: async ({ keys = [] }, context) => {
      const newest = await reference.open({ keys }, context)
      return { ...(await reference.open({ keys: keys.toReversed() }, context)), keyIds: newest.keyIds }
    },
  }),
  'does not use the wrapping key': withCipher(
    'opens with the wrapping key alone, whatever key is configured',
    (cipher) => ({
      seal: (source) => cipher.seal(source),
    }),
  ),
  'stores the wrapping key beside the object': withCipher(
    'has nothing of the wrapping key in the object',
    (cipher) => ({
      seal: async function* (source, options) {
        yield* cipher.seal(source, options)
        if (options?.under !== undefined) yield options.under.secret
      },
    }),
  ),
  'hides why a wrapping key could not be had': withCipher(
    'passes on why a wrapping key could not be had',
    (cipher) => ({
      open: (source, options) =>
        cipher.open(source, {
          wrappingKey: async (id) => await options?.wrappingKey?.(id).catch(() => undefined),
        }),
    }),
  ),
  'does not look at names': withParts('refuses an object under any other name', { context: (header) => header }),
  'opens bound objects without their names': withCipher('refuses a bound object where no name is given', (cipher) => ({
    seal: (source, { under } = {}) => cipher.seal(source, { under }),
  })),
  'wants a name for what is bound to none': withCipher('opens under any name what is bound to none', (cipher) => ({
    seal: (source, options) => cipher.seal(source, { ...options, boundTo: options?.boundTo ?? 'nothing' }),
  })),
  'names the configured key in place of the wrapping key': broken(
    'tells the id of the wrapping key from the beginning of an object',
    { keysOf: (head) => (reference.keysOf?.(head) ?? []).map(() => 'configured') },
  ),
  'tells keys of anything': broken('tells no key of what is no sealed object', { keysOf: () => [] }),
  'opens an object in one piece': withCipher('open reads only a bounded amount ahead of its reader', (cipher) => ({
    open: (source, options) => cipher.open(inOnePiece(source), options),
  })),
  'seals an object in one piece': withCipher('seal reads only a bounded amount ahead of its reader', (cipher) => ({
    seal: (source, options) => cipher.seal(inOnePiece(source), options),
  })),
  'gives the same buffer again and again': withCipher('gives chunks that stay as they are', (cipher) => ({
    open: (source, options) => inOneBuffer(cipher.open(source, options)),
  })),
  'wipes its input': withCipher('leaves the chunks of its source as they are', (cipher) => ({
    seal: (source, options) => cipher.seal(wiping(source), options),
  })),
  'leaves its source open': withCipher('seal closes its source when the reader breaks off', (cipher) => ({
    seal: (source, options) => cipher.seal(unclosed(source), options),
  })),
  'hides the error of its source': withCipher(
    'open passes an error of its source on unchanged, after 1 chunks',
    (cipher) => ({
      open: (source, options) => renaming(() => tampered('damaged'), cipher.open(source, options)),
    }),
  ),
  'starts before it is read': withCipher('seal reads nothing before its reader asks', (cipher) => ({
    seal: (source, options) => eager(gather(source), (bytes) => cipher.seal(bytes, options)),
  })),
  'loses a last block that is full': withCipher('round trip of 2 of its own blocks', (cipher) => ({
    seal: async function* (source, options) {
      const bytes = await gather(source)
      const kept = bytes.length > 0 && bytes.length % 4096 === 0 ? bytes.subarray(0, -4096) : bytes
      yield* cipher.seal(pieces(kept), options)
    },
  })),
}
