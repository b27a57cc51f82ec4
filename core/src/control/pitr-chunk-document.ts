import type { Timestamp } from 'bson'

/** The cluster was changed for good: its shards, or what a name means. */
export interface Barrier {
  readonly ts: Timestamp
  /** Words for a message: `shard s3 was added`. */
  readonly what: string
  /** The replica set of a shard that was added: a replay leads across where all that it has is stored oplog. */
  readonly added?: string
  /** The UUID (32 hex digits) that a collection got by a resharding: all others are as they were. */
  readonly resharded?: string
}

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
   * PBM's, and for sealed ones that a resync found on the storage without having known them before.
   */
  crc?: string
  /** Ours: the same of the object, before it was sealed. */
  storedCrc?: string
  /** Ours: the name of the method that it is sealed with. */
  encryption?: string
  /** Ours: what no replay leads across, in a chunk of config servers. Unknown for chunks that only a resync has seen. */
  barriers?: readonly Barrier[]
  /** Ours: it begins with the first entry that its replica set ever wrote, which was empty then. */
  fromNothing?: true
}
