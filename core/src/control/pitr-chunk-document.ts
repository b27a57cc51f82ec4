import type { Timestamp } from 'bson'

/** One oplog chunk on the storage, in `pbmPITRChunks` (PBM: control-plane.md §1.4). Both bounds are inclusive. */
export interface PitrChunkDocument {
  rs: string
  /** The name of the object. In the record of a sealed chunk more follows it, so that PBM does not find it. */
  fname: string
  compression: string
  start_ts: Timestamp
  end_ts: Timestamp
  /** Stored bytes after a resync, as in PBM. */
  size: number
  /**
   * Ours, which PBM ignores: CRC-64/XZ of the entries before compression, 16 hexadecimal digits. Unknown for chunks of
   * PBM's, and for those that a resync found on the storage without having known them before.
   */
  crc?: string
  /** Ours: the name of the method that it is sealed with. */
  encryption?: string
}
