import type { OptionsSchema } from './options-schema.js'
import type { PluginContext } from './plugin.js'

/**
 * An encryption method: the default export of an `encryption-*` package. Options say where keys are to be found; no key
 * ever stands in them, since they are kept in `pbmConfig`.
 */
// biome-ignore lint/suspicious/noExplicitAny: the host holds plugins of every options type
export interface EncryptionPlugin<Options extends object = any> {
  readonly kind: 'encryption'
  /** The value of `encryption.type` and the key of its options block; lower-case letters, digits and dashes. */
  readonly name: string
  readonly apiVersion: 1
  /** Nothing in it is a secret. */
  readonly optionsSchema: OptionsSchema
  /**
   * Reads the keys that sealing needs. Options were checked against the schema before. Rejects with
   * `ENCRYPTION_KEY_MISSING` when there is no key where the options say, and `ENCRYPTION_KEY_WRONG` when what is there is
   * none; the `hint` of the latter says what a right one looks like. No message holds any of a key.
   */
  open(options: Options, context: PluginContext): Promise<Cipher>
  /**
   * The ids of the keys, any of which opens the object that begins with `head` (its first 1,024 bytes, or all of it);
   * empty where the format does not tell. Needs no key. Throws `ENCRYPTION_TAMPERED` for what is no sealed object.
   */
  keysOf?(head: Uint8Array): readonly string[]
}

/** Authenticated encryption of objects, with the keys that were at hand when it was opened. */
export interface Cipher {
  /** Ids of the keys that objects are sealed for, each of which opens them: never secret, one line of text each. */
  readonly keyIds: readonly string[]
  /** Takes {@link SealOptions.under} and {@link OpenOptions.wrappingKey}: keys can be rotated. */
  readonly wrapsKeys?: boolean | undefined
  /**
   * Only who has a secret key can seal what `open` takes: where it opens, it comes from this cluster. Not so for public
   * keys, for which everybody can seal.
   */
  readonly authenticates?: boolean | undefined
  /** Takes {@link SealOptions.boundTo} and {@link OpenOptions.boundTo}: an object opens in its own place only. */
  readonly bindsNames?: boolean | undefined
  /**
   * Each object has a data key of its own. Chunks of any size come in and go out, memory is bounded by a constant, and
   * breaking off the iteration frees everything. An error of the source comes out unchanged.
   */
  seal(source: AsyncIterable<Uint8Array>, options?: SealOptions): AsyncIterable<Uint8Array>
  /**
   * The reverse; never yields a byte that is not authenticated. Throws
   * - `CODEC_TRUNCATED` for an object that ends early,
   * - `ENCRYPTION_TAMPERED` for one that was altered, in whatever way, or is none of this method (the end of an altered
   *   one may look cut, and the end of a cut one altered),
   * - `ENCRYPTION_KEY_MISSING` or `ENCRYPTION_KEY_WRONG` when no key at hand opens it; the message names the ids.
   */
  open(source: AsyncIterable<Uint8Array>, options?: OpenOptions): AsyncIterable<Uint8Array>
}

/**
 * A key between the configured one and the data keys of objects, kept sealed in an object of its own: to change the
 * configured key, only those small objects have to be written anew.
 */
export interface WrappingKey {
  /** 32 lower-case hexadecimal digits. */
  readonly id: string
  /** 32 bytes. */
  readonly secret: Uint8Array
}

export interface SealOptions {
  /** Wrap the object's data key by this key, not by the configured one. Refused where `wrapsKeys` is not true. */
  readonly under?: WrappingKey | undefined
  /**
   * The name of the object on the storage, authenticated with all its bytes and stored nowhere in it: whoever moves it to
   * another name has no object that opens. Used where `bindsNames` is true.
   */
  readonly boundTo?: string | undefined
}

export interface OpenOptions {
  /** Gives the secret of the wrapping key that an object names; undefined where there is none. Its errors come out unchanged. */
  readonly wrappingKey?: ((id: string) => Promise<Uint8Array | undefined>) | undefined
  /**
   * The name that the object is read by. `ENCRYPTION_TAMPERED` for one that was sealed for another name, or for one when
   * none is given here; what was sealed for no name opens under any.
   */
  readonly boundTo?: string | undefined
}
