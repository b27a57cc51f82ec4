import type { Timestamp } from 'bson'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { lastEnd } from './catch-up.js'

/** How far behind the cluster the stored oplog of one replica set is. */
export interface SlicingLag {
  readonly rs: string
  /** The last entry that is stored; undefined where nothing is. */
  readonly stored: Timestamp | undefined
  /** Seconds from there to now; undefined where nothing is stored. */
  readonly seconds: number | undefined
}

/** Pure: from the chunks there are and the cluster time. In the order of `replsets`. */
export function slicingLag(
  chunks: readonly Pick<PitrChunkDocument, 'rs' | 'end_ts'>[],
  replsets: readonly string[],
  now: Timestamp,
): SlicingLag[] {
  return replsets.map((rs) => {
    const stored = lastEnd(chunks.filter((chunk) => chunk.rs === rs))
    return { rs, stored, seconds: stored === undefined ? undefined : Math.max(0, now.t - stored.t) }
  })
}
