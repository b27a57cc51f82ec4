/**
 * Stable codes of everything a storage may answer with. Codes never change within an API version; messages may.
 * Compare by code, never by class: a plugin may bring its own copy of this package.
 */
export type StorageErrorCode =
  | 'STORAGE_NOT_FOUND'
  | 'STORAGE_EMPTY'
  | 'STORAGE_EXISTS'
  | 'STORAGE_INVALID_NAME'
  | 'STORAGE_INVALID_RANGE'
  | 'STORAGE_DENIED'
  | 'STORAGE_NO_SPACE'
  | 'STORAGE_UNAVAILABLE'
  | 'STORAGE_NOT_SUPPORTED'
  | 'STORAGE_ABORTED'
  | 'STORAGE_CLOSED'

/** Codes of a compression or encryption transform that met bytes it can't read, or a level it does not have. */
export type CodecErrorCode = 'CODEC_CORRUPT' | 'CODEC_TRUNCATED' | 'CODEC_LEVEL'

/** Codes of the encryption kind, beside those of {@link CodecErrorCode}. */
export type EncryptionErrorCode = 'ENCRYPTION_KEY_MISSING' | 'ENCRYPTION_KEY_WRONG' | 'ENCRYPTION_TAMPERED'

export type PluginErrorCode = StorageErrorCode | CodecErrorCode | EncryptionErrorCode

/** The error every plugin throws. `retriable` says whether the same call may succeed later without any change. */
export class PluginError extends Error {
  readonly code: PluginErrorCode
  readonly retriable: boolean
  /** What to do about it, where the plugin knows better than its host. */
  declare readonly hint?: string

  constructor(
    code: PluginErrorCode,
    message: string,
    options: { cause?: unknown; retriable?: boolean; hint?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = code === 'STORAGE_ABORTED' ? 'AbortError' : 'PluginError'
    this.code = code
    this.retriable = options.retriable ?? code === 'STORAGE_UNAVAILABLE'
    if (options.hint !== undefined) this.hint = options.hint
  }
}

/** Whether `error` (of any class, from any copy of this package) carries `code`. */
export function hasCode(error: unknown, code: PluginErrorCode): boolean {
  return typeof error === 'object' && error !== null && (error as { code?: unknown }).code === code
}
