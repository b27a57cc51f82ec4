import type { ChunkBounds } from './timelines.js'

/**
 * The same stretches of stored oplog in as few pieces as there are: of a month of chunks, mostly one for each replica set.
 * `timelines` says the same of them, also together with more chunks. Pure.
 */
export function mergedChunks(chunks: readonly ChunkBounds[]): ChunkBounds[] {
  const sorted = chunks
    .filter(({ start_ts, end_ts }) => start_ts.lessThanOrEqual(end_ts))
    .sort((a, b) => a.start_ts.compare(b.start_ts))
  const merged: ChunkBounds[] = []
  const last = new Map<string, number>()
  for (const { rs, start_ts, end_ts, fromNothing } of sorted) {
    const at = last.get(rs)
    const before = at === undefined ? undefined : merged[at]
    if (at === undefined || before === undefined || start_ts.greaterThan(before.end_ts)) {
      last.set(rs, merged.push({ rs, start_ts, end_ts, ...(fromNothing !== undefined && { fromNothing }) }) - 1)
    } else if (end_ts.greaterThan(before.end_ts)) merged[at] = { ...before, end_ts }
  }
  // They cut a chain wherever they stand, so that any chunk of their replica set may carry them.
  for (const { rs, barriers = [], start_ts, end_ts } of chunks) {
    if (barriers.length > 0) merged.push({ rs, start_ts, end_ts, barriers })
  }
  return merged
}
