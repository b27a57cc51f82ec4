import type { MongoClient, Timestamp } from 'mongodb'
import { Tally } from '../archive/tally.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { hello } from '../mongo/topology.js'
import { findBarriers } from '../oplog/reading/find-barriers.js'
import { beginWithInitiation } from '../oplog/reading/initiation.js'
import { readOplog } from '../oplog/reading/slice.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { ObjectStore } from '../plugin/storage.js'
import { pitrChunkName } from '../store/layout/names.js'

export interface ChunkOptions {
  readonly node: MongoClient
  readonly store: ObjectStore
  readonly rs: string
  /** Both inclusive; the next chunk begins with the last entry of this one. */
  readonly start: Timestamp
  readonly end: Timestamp
  readonly method: ChunkMethod
  /** Throws where the lock is lost: asked at the end of what is stored, for an object can't be taken back. */
  readonly assertHeld: () => void
  readonly signal: AbortSignal
}

export interface ChunkMethod {
  readonly plugin: CompressionPlugin
  /** As the configuration names it: `pgzip` stays `pgzip`. */
  readonly name: string
  readonly level: number | undefined
  /** The name of the method it is sealed with: the store does that, by the name of the object. */
  readonly encryption?: string | undefined
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
export async function storeChunk({
  node,
  store,
  rs,
  start,
  end,
  method,
  assertHeld,
  signal,
}: ChunkOptions): Promise<StoredChunk> {
  const { plugin, name, level, encryption } = method
  let entries = 0
  let bytes = 0
  const count = (documents: number, length: number) => {
    entries += documents
    bytes += length
  }
  const isConfigServer = (await hello(node)).configsvr !== undefined
  const barriers = isConfigServer ? await findBarriers(node, { start, end }, signal) : []
  const fname = pitrChunkName(rs, start, end, plugin.suffix, encryption)
  const [plain, packed] = [new Tally(), new Tally()]
  let fromNothing: boolean | undefined
  const raw = readOplog(node, { start, end }, { signal, onProgress: count })
  const checked = async function* () {
    for await (const documents of raw) {
      fromNothing ??= beginWithInitiation(documents)
      plain.add(documents)
      yield documents
    }
    assertHeld()
  }
  const body = plugin.compress(checked(), level === undefined ? {} : { level })
  const { size } = await store.save(fname, packed.through(body), { signal })
  const sealed = encryption === undefined ? {} : { encryption }
  const told = { rs, fname, compression: name, start_ts: start, end_ts: end }
  const found = {
    ...(barriers.length === 0 ? {} : { barriers }),
    // Slicing never begins there unless the replica set was empty: see `lackOfHistory`.
    ...(fromNothing === true ? { fromNothing } : {}),
  }
  const sums = { crc: plain.crcText(), storedCrc: packed.crcText() }
  const document = { ...told, size, ...sums, ...sealed, ...found }
  return { document, entries, bytes }
}
