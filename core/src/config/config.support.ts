import assert from 'node:assert/strict'
import { PbmError } from '../errors.js'
import { type CompressionPlugin, type EncryptionPlugin, PluginError, type StoragePlugin } from '../plugin/index.js'
import { PluginHost } from '../plugin-host/host.js'

const secret = { type: 'string', writeOnly: true }
const text = { type: 'string' }

/** A storage with an option of every sort. */
export const cloud: StoragePlugin = {
  kind: 'storage',
  name: 'cloud',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    required: ['bucket'],
    properties: {
      bucket: { ...text, identity: true },
      prefix: { ...text, identity: true },
      endpointUrlMap: { type: 'object', additionalProperties: text, identity: true },
      partSize: { type: 'integer', minimum: 5 },
      maxObjSizeGB: { type: 'number' },
      credentials: {
        type: 'object',
        additionalProperties: false,
        properties: {
          'access-key-id': secret,
          'secret-access-key': secret,
          type: { type: 'string', enum: ['key', 'role'] },
        },
      },
    },
  },
  open: () => Promise.reject(new PluginError('STORAGE_NOT_SUPPORTED', 'only a schema')),
  describe: () => 'cloud',
}

const codec = (name: string, levels?: CompressionPlugin['levels']): CompressionPlugin => ({
  kind: 'compression',
  name,
  apiVersion: 1,
  suffix: `.${name}`,
  ...(levels === undefined ? {} : { levels }),
  compress: (source) => source,
  decompress: (source) => source,
})

/** An encryption with the options that all have. */
const vault: EncryptionPlugin = {
  kind: 'encryption',
  name: 'vault',
  apiVersion: 1,
  optionsSchema: {
    type: 'object',
    additionalProperties: false,
    properties: { keyFile: text, keyCommand: { type: 'array', items: text, minItems: 1 } },
  },
  open: () => Promise.reject(new PluginError('ENCRYPTION_KEY_MISSING', 'only a schema')),
}

/** A host that has these plugins loaded and finds no other. */
class FilledHost extends PluginHost {
  override async storage(type: string): Promise<StoragePlugin> {
    return type === 'cloud' ? cloud : super.storage(type)
  }

  override async encryption(type: string): Promise<EncryptionPlugin> {
    return type === 'vault' || type === '@acme/pbm-vault' ? vault : super.encryption(type)
  }

  override async compression(type: string): Promise<CompressionPlugin> {
    if (type === 'snappy') return codec('snappy')
    return type === 's2' || type === 'zstd' ? codec(type, { min: 1, max: 4, default: 2 }) : super.compression(type)
  }
}

export const host: PluginHost = new FilledHost({ resolveFrom: 'file:///nowhere/main.js' })

/** The message with which a configuration is refused. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    (value) => assert.fail(`must be refused, but gives ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof PbmError, String(error))
  assert.equal(error.code, 'CONFIG_INVALID')
  return error.message
}
