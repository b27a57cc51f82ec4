import type { Cipher, EncryptionPlugin } from '@pbmkit/core/plugin'
import { type KeySource, placeOf, readKeySource } from '@pbmkit/core/plugin/kit'
import { openCipher } from './cipher.js'
import { HEAD_BYTES, readHeader } from './header.js'
import { parseKeyring } from './keyring.js'

/** Where the keys are to be found; exactly one of them. */
export interface AesGcmOptions {
  readonly keyFile?: string
  readonly keyEnv?: string
  readonly keyCommand?: readonly string[]
}

/**
 * A key itself stands nowhere in a configuration. What begins with `/` is a path, unless it ends as every such key does
 * that is written in full.
 */
const NO_KEY = '^(?!\\s*(?:[A-Za-z0-9+/_-]{43}=|[A-Za-z0-9+_-][A-Za-z0-9+/_-]{42}|[0-9a-fA-F]{64})\\s*$)'

/** Names as people give them to variables have 43 characters, too. */
const VARIABLE_NO_KEY = '^(?!\\s*[0-9a-fA-F]{64}\\s*$)(?:[A-Z_][A-Z0-9_]*$|(?!\\s*[A-Za-z0-9+/_-]{43}=?\\s*$))'

const plugin: EncryptionPlugin<AesGcmOptions> = {
  kind: 'encryption',
  name: 'aes-gcm',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    maxProperties: 1,
    properties: {
      keyFile: {
        type: 'string',
        localFile: true,
        minLength: 1,
        pattern: NO_KEY,
        description:
          'file with the keys, one on each line: 32 bytes in Base64 or hexadecimal; # begins a comment; the first one seals, all open',
      },
      keyEnv: {
        type: 'string',
        minLength: 1,
        pattern: VARIABLE_NO_KEY,
        description: 'name of the environment variable of the agent that has the keys',
      },
      keyCommand: {
        type: 'array',
        localCommand: true,
        items: { type: 'string' },
        minItems: 1,
        description:
          'program by its absolute path and arguments, run without a shell and with no environment but PATH, which writes the keys to its standard output within a minute; each agent has to allow it (--allow-key-command)',
      },
    },
  },
  async open(options, context): Promise<Cipher> {
    const source = sourceOf(options)
    return openCipher(parseKeyring(await readKeySource(source, 'encryption key', context), placeOf(source)))
  },
  keysOf: (head) => {
    const header = readHeader(Buffer.from(head.subarray(0, HEAD_BYTES)))
    return [header.keyId]
  },
}

function sourceOf({ keyFile, keyEnv, keyCommand }: AesGcmOptions): KeySource {
  return { file: keyFile, env: keyEnv, command: keyCommand }
}

export default plugin
