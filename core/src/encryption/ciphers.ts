import { invalidConfig } from '../config/check.js'
import type { EncryptionConfig } from '../config/document.js'
import { schemaFaults } from '../config/faults.js'
import { isRecord, withoutNulls } from '../config/values.js'
import { PbmError } from '../errors.js'
import type { Cipher, EncryptionPlugin } from '../plugin/encryption.js'
import { hasCode } from '../plugin/errors.js'
import type { PluginContext } from '../plugin/plugin.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { SchemaNode } from '../plugin-host/schema.js'

/** An encryption method with the keys that are at hand. */
export interface OpenMethod {
  /** What records and names of objects call it. */
  readonly name: string
  readonly plugin: EncryptionPlugin
  readonly cipher: Cipher
}

/** `encryption.type` of a configuration that seals nothing. */
export const NO_ENCRYPTION = 'none'

/**
 * The encryption methods of one operation: the one that the configuration seals with, and whatever else it meets on the
 * storage. Each is opened when it is first needed, so that what needs no key works without any.
 */
export class Ciphers {
  readonly #host: PluginHost
  readonly #config: EncryptionConfig | undefined
  readonly #context: PluginContext
  readonly #opened = new Map<string, Promise<OpenMethod>>()

  constructor(host: PluginHost, config: EncryptionConfig | undefined, context: PluginContext) {
    this.#host = host
    this.#config = config
    this.#context = context
  }

  /** Whether the configuration seals. Needs no key. */
  get seals(): boolean {
    return isSealing(this.#config)
  }

  /** `encryption.type` of the configuration. */
  get type(): string {
    return this.#config?.type ?? NO_ENCRYPTION
  }

  /** The method that new objects are sealed with; undefined where none is configured. Rejects as {@link method}. */
  async current(): Promise<OpenMethod | undefined> {
    const name = await sealingMethod(this.#config, this.#host)
    return name === undefined ? undefined : await this.method(name)
  }

  /**
   * The method of that name, with the keys that the configuration leads to. Rejects with PLUGIN_…, CONFIG_INVALID,
   * ENCRYPTION_KEY_MISSING and ENCRYPTION_KEY_WRONG.
   */
  method(name: string): Promise<OpenMethod> {
    const known = this.#opened.get(name)
    return known ?? this.reopened(name)
  }

  /** As {@link method}, with the keys that are there now: they may have changed since. */
  reopened(name: string): Promise<OpenMethod> {
    const opening = this.#open(name)
    this.#opened.set(name, opening)
    // What is missing may be brought while the process runs.
    opening.catch(() => this.#opened.get(name) === opening && this.#opened.delete(name))
    return opening
  }

  async #open(name: string): Promise<OpenMethod> {
    const plugin = await this.#plugin(name)
    const options = encryptionOptions(this.#config, plugin)
    await this.#host.checkLocalAccess(plugin, options)
    try {
      return { name, plugin, cipher: await plugin.open(options, this.#context) }
    } catch (error) {
      throw isKeyFault(error) ? keyError(error, '', name) : error
    }
  }

  /** A configured package name means a plugin whose name is a shorter one. */
  async #plugin(name: string): Promise<EncryptionPlugin> {
    const type = this.#config?.type
    if (type !== undefined && type !== NO_ENCRYPTION && type !== name) {
      const configured = await this.#host.encryption(type).catch(() => undefined)
      if (configured?.name === name) return configured
    }
    return await this.#host.encryption(name)
  }
}

/** Whether `config` seals what is stored. */
export function isSealing(config: EncryptionConfig | undefined): config is EncryptionConfig {
  return config !== undefined && config.type !== NO_ENCRYPTION
}

/** The name of the method that `config` seals with; undefined for none. Rejects with PLUGIN_…; needs no key. */
export async function sealingMethod(
  config: EncryptionConfig | undefined,
  host: PluginHost,
): Promise<string | undefined> {
  if (!isSealing(config)) return undefined
  return (await host.encryption(config.type)).name
}

/** Throws CONFIG_INVALID for a wrong value, and ENCRYPTION_KEY_MISSING where nothing says where the keys are. */
function encryptionOptions(config: EncryptionConfig | undefined, plugin: EncryptionPlugin): object {
  const block = config?.[plugin.name]
  if (!isRecord(block)) {
    throw new PbmError('ENCRYPTION_KEY_MISSING', `the configuration has no encryption.${plugin.name}`, {
      hint: `say there where the keys of ${plugin.name} are, whatever encryption.type is`,
    })
  }
  const options = withoutNulls(block) as object
  const faults = schemaFaults(options, plugin.optionsSchema as SchemaNode, ['encryption', plugin.name])
  if (faults.length === 0) return options
  throw invalidConfig(faults)
}

/** Whether `error` says that there is no key, or not the right one: then nothing is known of the object itself. */
export function isKeyFault(error: unknown): boolean {
  return hasCode(error, 'ENCRYPTION_KEY_MISSING') || hasCode(error, 'ENCRYPTION_KEY_WRONG')
}

/** Whether a key object is gone from the storage: then no key opens what it protects. */
export function isKeyObjectGone(error: unknown): boolean {
  const cause = error instanceof PbmError && isKeyFault(error) ? error.cause : undefined
  return hasCode(cause, 'STORAGE_NOT_FOUND') || hasCode(cause, 'STORAGE_EMPTY')
}

/** Whether nothing is wrong with the object: who looks has not the key or the plugin to open it. */
export function isUnopened(error: unknown): boolean {
  return isKeyFault(error) || (error instanceof PbmError && /^(PLUGIN_|CONFIG_)/.test(error.code))
}

/** The fault of a key in words for people; `object` is '' where no object is concerned. */
export function keyError(error: unknown, object: string, method: string): PbmError {
  const code = hasCode(error, 'ENCRYPTION_KEY_WRONG') ? 'ENCRYPTION_KEY_WRONG' : 'ENCRYPTION_KEY_MISSING'
  const text = error instanceof Error ? error.message : String(error)
  const ownHint = (error as { readonly hint?: unknown } | null)?.hint
  return new PbmError(code, object === '' ? text : `${object} can't be opened: ${text}`, {
    hint:
      typeof ownHint === 'string'
        ? ownHint
        : `bring the key to where encryption.${method} of the configuration says, behind any newer key`,
  })
}
