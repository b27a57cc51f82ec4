import type { OptionsSchema } from './options-schema.js'
import type { PluginContext } from './plugin.js'

/** A place that keeps objects: the default export of a `storage-*` package. */
// biome-ignore lint/suspicious/noExplicitAny: the host holds plugins of every options type
export interface StoragePlugin<Options extends object = any> {
  readonly kind: 'storage'
  /** The value of `storage.type` and the key of its options block: `storage.<name>`. */
  readonly name: string
  readonly apiVersion: 1
  readonly optionsSchema: OptionsSchema
  /**
   * Opens the store. Options were checked against the schema before. May create what is missing (a folder), must not
   * write objects. Rejects with the codes of a storage when the place can't be reached at all.
   */
  open(options: Options, context: PluginContext): Promise<ObjectStore>
  /** What a person calls this place, without secrets: `/backups`, `s3://bucket/prefix`. */
  describe(options: Options): string
}

/**
 * An open storage.
 *
 * Names are relative, `/`-separated UTF-8 of at most 1,024 bytes, with no empty, `.` or `..` segment and no NUL; any other
 * character is legal. An illegal name is refused with `STORAGE_INVALID_NAME` before anything is touched.
 *
 * Every call honours its signal: it rejects with `STORAGE_ABORTED` promptly and leaves nothing half-written behind.
 */
export interface ObjectStore {
  readonly capabilities: StorageCapabilities
  /**
   * Drains `body`, whose length is unknown, into `name`, replacing what was there. Atomically visible: any other
   * reader or lister sees the old object, or the whole new one, or none, never a part. Durable once resolved. When
   * `body` throws, rejects with that error and leaves the old object (or none).
   */
  save(name: string, body: AsyncIterable<Uint8Array>, options?: SaveOptions): Promise<ObjectInfo>
  /**
   * Rejects with NOT_FOUND, EMPTY (zero bytes), INVALID_RANGE (offset at or past the end, a negative or fractional number,
   * a length of 0) before any byte flows.
   * A length past the end is cut to it. Breaking off the iteration frees everything.
   */
  read(name: string, options?: ReadOptions): Promise<AsyncIterable<Uint8Array>>
  /** Rejects with NOT_FOUND, or EMPTY for an object of zero bytes. */
  stat(name: string, options?: CallOptions): Promise<ObjectInfo>
  /** Complete objects only, each once, in any order, zero-byte ones too; names are full names, not relative to the prefix. */
  list(options?: ListOptions): AsyncIterable<ObjectInfo>
  /** Rejects with NOT_FOUND. */
  delete(name: string, options?: CallOptions): Promise<void>
  /** Copies inside the store, replacing `target`; visible like `save`. Rejects with NOT_FOUND. */
  copy(source: string, target: string, options?: TransferOptions): Promise<ObjectInfo>
  /** Idempotent; every later call rejects with CLOSED. */
  close(): Promise<void>
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}
export interface TransferOptions extends CallOptions {
  /** Told the bytes moved so far, at least once at the end. */
  readonly onProgress?: ((bytesSoFar: number) => void) | undefined
}
export interface SaveOptions extends TransferOptions {
  /** A guess in bytes, for part sizes; the body may be shorter or longer. */
  readonly sizeHint?: number | undefined
  /** Reject with EXISTS instead of replacing; where the capability is false: NOT_SUPPORTED. */
  readonly ifAbsent?: boolean | undefined
}
export interface ReadOptions extends TransferOptions {
  /** First byte, from 0. */
  readonly offset?: number | undefined
  /** Bytes at the most. */
  readonly length?: number | undefined
}
export interface ListOptions extends CallOptions {
  /** A plain string prefix of the name, of whole characters; it need not end at a slash. */
  readonly prefix?: string | undefined
}
export interface ObjectInfo {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly modifiedAt?: Date
}
export interface StorageCapabilities {
  /** `save({ifAbsent})` is atomic. */
  readonly ifAbsent: boolean
  /** `copy` moves no bytes through this process. */
  readonly serverSideCopy: boolean
  /** `ObjectInfo.modifiedAt` is filled. */
  readonly modifiedAt: boolean
  /** The longest path segment in UTF-8 bytes that the store can keep; absent where only the whole name is bounded. */
  readonly maxSegmentBytes?: number
  /** Larger objects have to be split. */
  readonly maxObjectBytes?: number
  /** Names that end so are refused with INVALID_NAME, because the store uses them itself; absent where there are none. */
  readonly reservedSuffix?: string
  /** What is saved is thrown away, for benchmarks: nothing can be read back, so nothing is checked after it was written. */
  readonly keepsNothing?: boolean
}
