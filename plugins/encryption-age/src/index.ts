import { type EncryptionPlugin, PluginError } from '@pbmkit/core/plugin'
import { type KeySource, placeOf, readKeySource } from '@pbmkit/core/plugin/kit'
import { open, seal } from './cipher.js'
import { type Identity, parseIdentities, parseRecipient } from './x25519.js'

export interface AgeOptions {
  /** `age1…`, public. */
  readonly recipients: readonly string[]
  /** Where the identities are to be found; one of them, or none where nothing is ever opened. */
  readonly identityFile?: string
  readonly identityEnv?: string
  readonly identityCommand?: readonly string[]
}

/** An identity itself stands nowhere in a configuration. */
const NO_IDENTITY = '^(?!\\s*(?:AGE-SECRET-KEY-|age-secret-key-))'

/** What fits well into the longest header that is read again. */
const MOST_RECIPIENTS = 500

const plugin: EncryptionPlugin<AgeOptions> = {
  kind: 'encryption',
  name: 'age',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['recipients'],
    properties: {
      recipients: {
        type: 'array',
        items: { type: 'string', pattern: '^\\s*(?:age1|AGE1)', description: 'a recipient, which begins with age1' },
        minItems: 1,
        maxItems: MOST_RECIPIENTS,
        description: 'public keys (age1…), at most 500; each of their identities opens everything',
      },
      identityFile: {
        type: 'string',
        localFile: true,
        minLength: 1,
        pattern: NO_IDENTITY,
        description: 'file with identities, as age-keygen makes it',
      },
      identityEnv: {
        type: 'string',
        minLength: 1,
        pattern: NO_IDENTITY,
        description: 'name of the environment variable of the agent that has identities',
      },
      identityCommand: {
        type: 'array',
        localCommand: true,
        items: { type: 'string' },
        minItems: 1,
        description:
          'program by its absolute path and arguments, run without a shell and with no environment but PATH, which writes identities to its standard output within a minute; each agent has to allow it (--allow-key-command)',
      },
    },
  },
  async open(options, context) {
    const recipients = options.recipients.map(parseRecipient)
    const { identityFile: file, identityEnv: env, identityCommand: command } = options
    const source: KeySource = { file, env, command }
    let identities: Promise<Identity[]> | undefined
    const identitiesOf = () => {
      // Read when first needed: who only makes backups needs none.
      identities ??= readIdentities(source, () => readKeySource(source, 'age identity', context))
      identities.catch(() => {
        identities = undefined
      })
      return identities
    }
    return {
      keyIds: recipients.map(({ text }) => text),
      seal: (sealing, { under } = {}) => {
        if (under === undefined) return seal(sealing, recipients)
        throw new PluginError(
          'ENCRYPTION_KEY_WRONG',
          'age has no wrapping keys: its objects open with an identity alone',
        )
      },
      open: (sealed) => open(sealed, identitiesOf),
    }
  },
}

async function readIdentities(source: KeySource, read: () => Promise<string>): Promise<Identity[]> {
  if (Object.values(source).every((place) => place === undefined)) {
    throw new PluginError(
      'ENCRYPTION_KEY_MISSING',
      'it is sealed with age, and no identity is configured here (identityFile, identityEnv or identityCommand)',
    )
  }
  return parseIdentities(await read(), placeOf(source))
}

export default plugin
