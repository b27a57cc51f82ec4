/** A compression method: the default export of a `compression-*` package. */
export interface CompressionPlugin {
  readonly kind: 'compression'
  /** The value of `backup.compression`. */
  readonly name: string
  readonly apiVersion: 1
  /** What PBM appends to object names, with its dot: `.gz`, `.s2`. Empty for none. */
  readonly suffix: string
  /** Legal levels, inclusive, and the one used when none is configured; absent where the method has no levels. */
  readonly levels?: { readonly min: number; readonly max: number; readonly default: number }
  /**
   * Compresses a byte stream into the method's standard framing, so that its own command-line tool reads the object.
   * Chunks of any size come in and go out; memory is bounded by a constant; at most a few blocks are held. Breaking off
   * the iteration frees everything. Work runs off the main thread where the library can.
   * Throws `CODEC_LEVEL` at once for a level outside `levels`.
   */
  compress(source: AsyncIterable<Uint8Array>, options?: CompressOptions): AsyncIterable<Uint8Array>
  /**
   * The reverse. Reads all that PBM and the method's own tool write, concatenated streams too. Throws `CODEC_CORRUPT`
   * for bytes that are not of the format or fail its checksum, and `CODEC_TRUNCATED` when the stream ends early.
   */
  decompress(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
}

export interface CompressOptions {
  readonly level?: number | undefined
}
