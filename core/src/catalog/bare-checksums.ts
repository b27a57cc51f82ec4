import type { Timestamp } from 'bson'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { parseChunkChecksumName } from '../store/layout/chunk-checksum.js'
import { PITR_FOLDER, parsePitrChunkName } from '../store/layout/names.js'
import { forgetObject } from './chunk-checksums.js'

export interface BareChecksumsOptions extends CallOptions {
  readonly store: ObjectStore
  /** All that stay listed. */
  readonly chunks: readonly Pick<PitrChunkDocument, 'rs' | 'start_ts'>[]
  /** Checksums of what ends later stay. */
  readonly limit: Timestamp
}

/**
 * Deletes checksums that lie before the first chunk of their replica set: PBM's agents delete chunks and leave them, as does
 * an agent killed between the two. Those behind it stay, for `pbm verify` knows by them that a chunk is missing.
 *
 * @returns how many
 */
export async function deleteBareChecksums({ store, chunks, limit, signal }: BareChecksumsOptions): Promise<number> {
  const found: { readonly object: string; readonly rs: string; readonly end: Timestamp }[] = []
  for await (const { name: object } of store.list({ prefix: `${PITR_FOLDER}/`, signal })) {
    const sum = parseChunkChecksumName(object)
    if (sum?.end.lessThanOrEqual(limit)) found.push({ object, rs: sum.rs, end: sum.end })
  }
  if (found.length === 0) return 0
  const first = new Map<string, Timestamp>()
  const note = (rs: string, start: Timestamp) => {
    if (first.get(rs)?.lessThanOrEqual(start) !== true) first.set(rs, start)
  }
  for (const { rs, start_ts } of chunks) note(rs, start_ts)
  // Listed again: a chunk is stored before its checksums, so that of each found above is seen now.
  for await (const { name } of store.list({ prefix: `${PITR_FOLDER}/`, signal })) {
    const chunk = parsePitrChunkName(name)
    if (chunk !== undefined) note(chunk.replset, chunk.start)
  }
  const bare = found.filter(({ rs, end }) => first.get(rs)?.lessThan(end) !== true)
  for (const { object } of bare) await forgetObject(store, object, { signal })
  return bare.length
}
