import type { Timestamp } from 'bson'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { rfc3339 } from '../time/text.js'

/** What decides where slicing begins. All of one replica set, and as the control collections and its oplog say now. */
export interface CatchUpFacts {
  /** `pitr.oplogOnly`: chunks without a base are wanted. */
  readonly oplogOnly: boolean
  readonly chunks: readonly Pick<PitrChunkDocument, 'start_ts' | 'end_ts'>[]
  /** The newest full snapshot on the main storage that has this replica set. */
  readonly base: BaseSnapshot | undefined
  /** The newest one of the cluster; without this replica set where that came later. */
  readonly clusterBase: BaseSnapshot | undefined
  /**
   * Where none has this replica set: why the oplog does not have all that it ever did, beginning empty. Undefined where it
   * has, and nothing but it is needed.
   */
  readonly lack: string | undefined
  /** The newest restore that changed data. */
  readonly restore: RestoreTimes | undefined
  /** The oldest entry of the node's oplog. */
  readonly oldest: Timestamp
  /** The node's last write that a majority has. */
  readonly now: Timestamp
}

export interface BaseSnapshot {
  readonly name: string
  /** Unix seconds by cluster time, as far as it was recorded. */
  readonly startedAt: number
  /** The cluster's: what a restore of the snapshot ends with. */
  readonly lastWrite: Timestamp
}

/** Unix seconds by cluster time, as far as it was recorded. */
export interface RestoreTimes {
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * Either where the next chunk begins, inclusive, with the gap that this leaves behind the last chunk, or what slicing
 * waits for.
 */
export type CatchUp =
  | { readonly start: Timestamp; readonly after: 'chunk' | 'snapshot' | 'nothing' | 'now'; readonly gap?: Gap }
  | { readonly waits: 'snapshot' | 'oplog'; readonly reason: string; readonly gap?: Gap }

/** Between the end of the last chunk and the beginning of the next. Without `to` it goes on. */
export interface Gap {
  readonly from: Timestamp
  readonly to?: Timestamp
}

/**
 * Where slicing begins (PBM: control-plane.md §5.4, Catch-up). Simpler than PBM, because a slicer of ours goes on while a
 * backup runs: the chain of chunks is continued wherever the oplog still reaches back to its end, and the oplog of a
 * backup need not be copied. Where it does not, the chain ends, and another begins at the newest snapshot, or now with
 * `oplogOnly`. That of a shard which came after the last snapshot begins with its oplog where that has all it ever did: the
 * shard was empty then.
 */
export function catchUp(facts: CatchUpFacts): CatchUp {
  const { oplogOnly, base, clusterBase, restore, oldest, now } = facts
  const end = lastEnd(facts.chunks)
  // What was stored before a restore is of a history that the data is no longer part of.
  const chainEnd = end !== undefined && endsAfterRestore(end, facts) ? end : undefined
  const gapTo = (to: Timestamp) => (end === undefined || to.lessThanOrEqual(end) ? {} : { gap: { from: end, to } })
  const open = end === undefined ? {} : { gap: { from: end } }

  const missing = oplogOnly ? undefined : missingSnapshot(base ?? clusterBase, restore)
  if (missing !== undefined) return { waits: 'snapshot', reason: missing, ...open }
  if (chainEnd !== undefined && oldest.lessThanOrEqual(chainEnd)) return { start: chainEnd, after: 'chunk' }
  if (oplogOnly) return { start: now, after: 'now', ...gapTo(now) }
  if (base === undefined) {
    if (facts.lack === undefined) return { start: oldest, after: 'nothing', ...gapTo(oldest) }
    const reason = `no full backup has this shard yet, and ${facts.lack}: make one with pbm backup`
    return { waits: 'snapshot', reason, ...open }
  }
  const beyondChain = chainEnd === undefined || base.lastWrite.greaterThan(chainEnd)
  if (beyondChain && oldest.lessThanOrEqual(base.lastWrite)) {
    return { start: base.lastWrite, after: 'snapshot', ...gapTo(base.lastWrite) }
  }
  const wanted = beyondChain ? `the end of snapshot ${base.name}` : 'the end of the last chunk'
  const since = beyondChain || chainEnd === undefined ? base.lastWrite : chainEnd
  return {
    waits: 'oplog',
    reason: `the oplog does not reach back to ${wanted} (${timeText(since)}) any more: make a snapshot with pbm backup`,
    ...open,
  }
}

/** Why slicing can't begin on any node before the next backup; undefined when it can. */
export function missingSnapshot(base: BaseSnapshot | undefined, restore: RestoreTimes | undefined): string | undefined {
  if (base === undefined) return 'there is no full snapshot on the main storage to start from: make one with pbm backup'
  if (restore === undefined || base.startedAt >= restore.startedAt) return undefined
  return 'no snapshot was made since the last restore: make one with pbm backup'
}

/**
 * The last chunk before a restore may end a little after the restore began, while slicing was being stopped; PBM then
 * goes on across the restore.
 */
function endsAfterRestore(end: Timestamp, { base: own, clusterBase, restore }: CatchUpFacts): boolean {
  const base = own ?? clusterBase
  if (restore === undefined) return true
  const isSince = base !== undefined && base.startedAt >= restore.startedAt
  return (isSince && end.greaterThanOrEqual(base.lastWrite)) || end.t > restore.endedAt
}

/** The latest end of all chunks, whichever begins last. */
export function lastEnd(chunks: readonly Pick<PitrChunkDocument, 'end_ts'>[]): Timestamp | undefined {
  return chunks.reduce<Timestamp | undefined>(
    (latest, { end_ts }) => (latest === undefined || end_ts.greaterThan(latest) ? end_ts : latest),
    undefined,
  )
}

/** `2026-02-07T02:59:59Z (1770433199, 4)`: as people read it, and as commands take it. */
export function timeText(timestamp: Timestamp): string {
  return `${rfc3339(timestamp.t)} (${timestamp.t}, ${timestamp.i})`
}
