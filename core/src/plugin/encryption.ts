import type { OptionsSchema } from './options-schema.js'
import type { PluginContext } from './plugin.js'

/** An encryption method: the default export of an `encryption-*` package. Keys never stand in `pbmConfig`. */
// biome-ignore lint/suspicious/noExplicitAny: the host holds plugins of every options type
export interface EncryptionPlugin<Options extends object = any> {
  readonly kind: 'encryption'
  readonly name: string
  readonly apiVersion: 1
  readonly optionsSchema: OptionsSchema
  open(options: Options, context: PluginContext): Promise<Cipher>
}

/** Authenticated encryption of one object's bytes; the id of the key stands in the object's header. */
export interface Cipher {
  seal(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** Never yields a byte that is not authenticated. Throws ENCRYPTION_* or CODEC_TRUNCATED. */
  open(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}
