import { createHash } from 'node:crypto'
import { type EncryptionPlugin, PluginError } from '@pbmkit/core/plugin'
import { type KeySource, readKeySource } from '@pbmkit/core/plugin/kit'
import { type Key, keyIdOf, openObject, sealObject } from './format.js'

/** Where the key is; never the key itself, since options are kept in the database. Exactly one of them. */
export interface Options {
  readonly keyFile?: string
  readonly keyEnv?: string
}

const plugin: EncryptionPlugin<Options> = {
  kind: 'encryption',
  name: '__NAME__',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    properties: {
      keyFile: {
        type: 'string',
        minLength: 1,
        localFile: true,
        description: 'file that holds the key: 32 bytes in hexadecimal',
      },
      keyEnv: { type: 'string', minLength: 1, description: 'environment variable that holds it' },
    },
  },
  async open({ keyFile, keyEnv }, context) {
    const source: KeySource = { file: keyFile, env: keyEnv, command: undefined }
    const key = parsed((await readKeySource(source, '__NAME__ key', context)).toString())
    return {
      keyIds: [key.id],
      seal: (plain) => sealObject(plain, key),
      open: (sealed) => openObject(sealed, key),
    }
  },
  keysOf: (head) => [keyIdOf(head)],
}

function parsed(text: string): Key {
  // Not the text in the message: it may be half a key.
  if (!/^[0-9a-f]{64}$/i.test(text.trim()))
    throw new PluginError('ENCRYPTION_KEY_WRONG', 'the key is not 64 hexadecimal digits', {
      hint: 'make one with: openssl rand -hex 32',
    })
  const secret = Buffer.from(text.trim(), 'hex')
  return { secret, id: createHash('sha256').update('key id').update(secret).digest('hex').slice(0, 16) }
}

export default plugin
