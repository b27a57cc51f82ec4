import { type Chain, chainsByReplset } from '../catalog/timelines.js'
import { optime } from '../oplog/entry.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import type { ChunkChecksum } from '../store/layout/chunk-checksum.js'
import { parsePitrChunkName, pitrChunkName } from '../store/layout/names.js'
import type { ChunksToVerify, VerifyContext } from './context.js'

/** A chunk that should be on the storage. */
export interface MissingChunk {
  readonly rs: string
  readonly object: string
}

/**
 * Chunks that are on the list of the cluster, or have their checksums on the storage inside of what is stored, and are not
 * there themselves. What is before the first chunk was deleted: PBM's agents leave the checksums.
 */
export async function missingChunks(
  { chunks, checksums, isWanted, listed }: ChunksToVerify,
  { store, signal }: VerifyContext,
): Promise<MissingChunk[]> {
  const found = new Set(chunks.map(({ fname }) => fname))
  const missing: MissingChunk[] = []
  /** Their names without the suffix of the codec. */
  const told = new Set<string>()
  for (const chunk of listed?.all.values() ?? []) {
    const { rs, fname: object } = chunk
    if (found.has(object) || !isWanted(chunk) || (await isThere(store, object, { signal }))) continue
    if ((await listed?.isListed(chunk)) !== true) continue
    missing.push({ rs, object })
    told.add(pitrChunkName(rs, chunk.start_ts, chunk.end_ts, ''))
  }
  const chains = chainsByReplset(chunks.map(({ rs, start_ts, end_ts }) => ({ rs, start_ts, end_ts })))
  for (const sum of checksums.all()) {
    const { rs, start, end } = sum
    if (!isWanted({ rs, start_ts: start, end_ts: end }) || !isInside(sum, chains.get(rs) ?? [])) continue
    const object = pitrChunkName(rs, start, end, '')
    if (told.has(object) || (await isStored(store, sum, { signal }))) continue
    missing.push({ rs, object })
    told.add(object)
  }
  return missing
}

/** Pure. Whether the stretch lies behind the beginning of what is stored, and not wholly inside one chain of it. */
function isInside({ start, end }: ChunkChecksum, chains: readonly Chain[]): boolean {
  const [from, to] = [optime(start), optime(end)]
  const [first] = chains
  if (first === undefined || from < first.start) return false
  return !chains.some((chain) => chain.start <= from && to <= chain.end)
}

/** One that was stored while the list was read. */
async function isStored(store: ObjectStore, { rs, start, end }: ChunkChecksum, call: CallOptions): Promise<boolean> {
  const prefix = pitrChunkName(rs, start, end, '').replace(/oplog$/, '')
  for await (const { name } of store.list({ prefix, ...call })) if (parsePitrChunkName(name) !== undefined) return true
  return false
}

async function isThere(store: ObjectStore, object: string, call: CallOptions): Promise<boolean> {
  try {
    await store.stat(object, call)
    return true
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND')) return false
    throw error
  }
}
