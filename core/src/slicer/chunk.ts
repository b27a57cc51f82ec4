import type { MongoClient, Timestamp } from 'mongodb'
import { readOplog } from '../backup/oplog-slice.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { ObjectStore } from '../plugin/storage.js'
import { pitrChunkName } from '../store/names.js'

export interface ChunkOptions {
  readonly node: MongoClient
  readonly store: ObjectStore
  readonly rs: string
  /** Both inclusive; the next chunk begins with the last entry of this one. */
  readonly start: Timestamp
  readonly end: Timestamp
  readonly method: ChunkMethod
  readonly signal: AbortSignal
}

export interface ChunkMethod {
  readonly plugin: CompressionPlugin
  /** As the configuration names it: `pgzip` stays `pgzip`. */
  readonly name: string
  readonly level: number | undefined
}

export interface StoredChunk {
  /** Not in `pbmPITRChunks` yet. */
  readonly document: PitrChunkDocument
  /** Oplog entries. */
  readonly entries: number
  /** Their bytes before compression. */
  readonly bytes: number
}

/**
 * Stores one chunk: oplog → raw entries → compress → store. Memory is bounded however long it is. A failure leaves
 * nothing. Rejects with the codes of a storage, OPLOG_ROLLED_OVER or the driver's error.
 */
export async function storeChunk({ node, store, rs, start, end, method, signal }: ChunkOptions): Promise<StoredChunk> {
  const { plugin, name, level } = method
  let entries = 0
  let bytes = 0
  const count = (documents: number, length: number) => {
    entries += documents
    bytes += length
  }
  const fname = pitrChunkName(rs, start, end, plugin.suffix)
  const raw = readOplog(node, { start, end }, { signal, onProgress: count })
  const { size } = await store.save(fname, plugin.compress(raw, level === undefined ? {} : { level }), { signal })
  return { document: { rs, fname, compression: name, start_ts: start, end_ts: end, size }, entries, bytes }
}
