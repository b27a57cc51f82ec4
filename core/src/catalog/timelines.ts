import type { Timestamp } from 'bson'
import type { Barrier } from '../control/pitr-chunk-document.js'
import { optime } from '../oplog/entry.js'

/** A stored chunk, as far as its place in time goes. Both bounds are inclusive. */
export interface ChunkBounds {
  readonly rs: string
  readonly start_ts: Timestamp
  readonly end_ts: Timestamp
  /** What no replay leads across. */
  readonly barriers?: readonly Barrier[]
  /** It begins with all that the replica set ever did. */
  readonly fromNothing?: true
}

/** A snapshot that point-in-time recovery can start from (see `isBaseSnapshot`). */
export interface Base {
  readonly name: string
  /** What the restored snapshot holds, inclusive: of the whole cluster. */
  readonly last_write_ts: Timestamp
  readonly replsets: readonly { readonly name: string }[]
}

/** A stretch of optimes (seconds in the upper 32 bits, increment in the lower), both ends inclusive. */
export interface TimeRange {
  readonly start: bigint
  readonly end: bigint
}

/** An unbroken line of chunks. */
export interface Chain extends TimeRange {
  /**
   * The replica set was empty when it begins: no base is needed. With the time when it became part of the cluster, as far
   * as that is known, else 0.
   */
  readonly fromNothing?: { readonly neededFrom: bigint }
}

/** The chunks for a restore of chosen namespaces: what was resharded keeps none of the others from being restored. */
export function withoutReshardings<C extends ChunkBounds>(chunks: readonly C[]): C[] {
  return chunks.map(({ barriers = [], ...chunk }) => ({
    ...(chunk as C),
    barriers: barriers.filter(({ resharded }) => resharded === undefined),
  }))
}

/** Where the chunks lie, and what they can be used for. All lists are oldest first and without overlap. */
export interface Timelines {
  /** Times to restore to: after the end of a base, with an unbroken chain from there on each of its replica sets. */
  readonly ranges: readonly TimeRange[]
  /** Covered by the chunks of every replica set that has any, but without a base to start from. */
  readonly unbacked: readonly TimeRange[]
  /** The unbroken chains of each replica set; a barrier ends one, and begins the next. */
  readonly perReplset: ReadonlyMap<string, readonly Chain[]>
  /** Between the chains of each replica set: the last entry before the gap and the first after it. */
  readonly gaps: ReadonlyMap<string, readonly TimeRange[]>
  /** What cuts a chain, in its order. */
  readonly barriers: readonly Barrier[]
}

/** Puts chunks and snapshots together (PBM: control-plane.md §5.4, Timelines). Pure. */
export function timelines(chunks: Iterable<ChunkBounds>, bases: readonly Base[]): Timelines {
  const all = [...chunks]
  const perReplset = chainsByReplset(all)
  const ranges = union(bases.flatMap((base) => restorableFrom(base, perReplset) ?? []))
  const common = [...perReplset.values()].reduce<readonly TimeRange[] | undefined>(
    (found, chains) => (found === undefined ? chains : intersection(found, chains)),
    undefined,
  )
  const unbacked = difference(common ?? [], ranges)
  const barriers = all
    .flatMap((chunk) => chunk.barriers ?? [])
    .filter((barrier) => !isCrossed(barrier, perReplset))
    .sort((a, b) => a.ts.compare(b.ts))
  const cuts = new Set(barriers.map(({ ts }) => optime(ts)))
  const gaps = new Map([...perReplset].map(([rs, chains]) => [rs, gapsBetween(chains, cuts)]))
  return { ranges, unbacked, perReplset, gaps, barriers }
}

/**
 * The chunks of each replica set joined where one begins no later than the one before ends; oldest first. A chain is cut
 * before the entry of a barrier, unless that is a shard which came empty and has been stored since.
 */
export function chainsByReplset(chunks: Iterable<ChunkBounds>): Map<string, Chain[]> {
  const all = [...chunks]
  const added = firstAdditions(all)
  const sorted = all
    .map(({ rs, start_ts, end_ts, fromNothing }) => {
      const whole = fromNothing === true ? { fromNothing: { neededFrom: added.get(rs) ?? 0n } } : {}
      return { rs, start: optime(start_ts), end: optime(end_ts), ...whole }
    })
    .filter(({ start, end }) => start <= end)
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  const chains = new Map<string, (Chain & { end: bigint })[]>()
  for (const { rs, ...chain } of sorted) {
    const own = chains.get(rs) ?? []
    chains.set(rs, own)
    const last = own.at(-1)
    // Neighbours share the entry at their border; the next optime alone says nothing of what lies between.
    if (last === undefined || chain.start > last.end) own.push(chain)
    else if (chain.end > last.end) last.end = chain.end
  }
  for (const { rs, barriers = [] } of all) {
    for (const barrier of barriers) {
      if (isCrossed(barrier, chains)) continue
      chains.set(
        rs,
        (chains.get(rs) ?? []).flatMap((chain) => cut(chain, optime(barrier.ts))),
      )
    }
  }
  return chains
}

/** When each replica set first became part of the cluster, as far as that is noted. */
function firstAdditions(chunks: readonly ChunkBounds[]): Map<string, bigint> {
  const first = new Map<string, bigint>()
  for (const { added, ts } of chunks.flatMap(({ barriers = [] }) => barriers)) {
    if (added === undefined) continue
    const known = first.get(added)
    if (known === undefined || optime(ts) < known) first.set(added, optime(ts))
  }
  return first
}

/** Whether all that an added shard has is stored, from before it was added on. */
function isCrossed({ ts, added }: Barrier, chains: ReadonlyMap<string, readonly Chain[]>): boolean {
  const own = added === undefined ? undefined : chains.get(added)
  return own?.some((chain) => chain.fromNothing !== undefined && contains(chain, optime(ts))) === true
}

function cut(chain: Chain, before: bigint): Chain[] {
  const { start, end } = chain
  if (before <= start || before > end) return [chain]
  return [
    { ...chain, end: before - 1n },
    { start: before, end },
  ]
}

/** The times that can be restored to from this base; undefined where a chain is missing or ends with the base. */
export function restorableFrom(
  base: Pick<Base, 'last_write_ts' | 'replsets'>,
  chains: ReadonlyMap<string, readonly Chain[]>,
): TimeRange | undefined {
  const from = optime(base.last_write_ts)
  if (base.replsets.length === 0) return undefined
  let end: bigint | undefined
  for (const { name } of base.replsets) {
    const chain = chains.get(name)?.find((one) => one.start <= from && from <= one.end)
    if (chain === undefined) return undefined
    if (end === undefined || chain.end < end) end = chain.end
  }
  const isOfBase = (rs: string) => base.replsets.some(({ name }) => name === rs)
  for (const [rs, own] of chains) {
    const limit = isOfBase(rs) ? undefined : limitOfNewcomer(own, from)
    if (limit !== undefined && end !== undefined && limit < end) end = limit
  }
  return end === undefined || end <= from ? undefined : { start: from + 1n, end }
}

/**
 * How far a replica set that the base does not have lets a restore go; undefined where it sets no limit. It came later: what
 * it had before its first chunk is stored nowhere, unless it was empty.
 */
function limitOfNewcomer(own: readonly Chain[], from: bigint): bigint | undefined {
  for (const { start, end, fromNothing } of own) {
    if (end <= from) continue
    if (fromNothing !== undefined) return end < fromNothing.neededFrom ? fromNothing.neededFrom - 1n : end
    if (start > from) return start - 1n
  }
  return undefined
}

/**
 * The replica sets that came after the base and are restored to `target` from nothing but their oplog, and where that begins.
 * To be asked for times that can be restored to.
 */
export function newcomers(
  base: Pick<Base, 'replsets'>,
  chains: ReadonlyMap<string, readonly Chain[]>,
  target: bigint,
): Map<string, bigint> {
  const found = new Map<string, bigint>()
  for (const [rs, own] of chains) {
    if (base.replsets.some(({ name }) => name === rs)) continue
    const chain = own.find((one) => one.fromNothing !== undefined && contains(one, target))
    if (chain?.fromNothing !== undefined && chain.fromNothing.neededFrom <= target) found.set(rs, chain.start)
  }
  return found
}

/** The newest of the bases from which `target` can be reached. */
export function baseReaching<B extends Base>(
  bases: readonly B[],
  chains: ReadonlyMap<string, readonly Chain[]>,
  target: bigint,
): B | undefined {
  let newest: B | undefined
  for (const base of bases) {
    const range = restorableFrom(base, chains)
    if (range === undefined || !contains(range, target)) continue
    if (newest === undefined || base.last_write_ts.greaterThan(newest.last_write_ts)) newest = base
  }
  return newest
}

export function contains(range: TimeRange, time: bigint): boolean {
  return range.start <= time && time <= range.end
}

/** A stretch of Unix seconds, both ends inclusive. */
export interface SecondsRange {
  start: number
  end: number
}

/**
 * The seconds to restore to within a range; undefined where none lies in it. A time given in seconds is the optime with
 * increment 0: what happened in that second is not part of it.
 */
export function wholeSeconds({ start, end }: TimeRange): SecondsRange | undefined {
  const first = Number((start + 0xffffffffn) >> 32n)
  const last = Number(end >> 32n)
  return first <= last ? { start: first, end: last } : undefined
}

/** The seconds in which a range begins and ends, as PBM shows what no base is for. */
export function touchedSeconds({ start, end }: TimeRange): SecondsRange {
  return { start: Number(start >> 32n), end: Number(end >> 32n) }
}

/** The last whole second to restore to before `time`, and the first after it. */
export function closestSeconds(ranges: readonly TimeRange[], time: bigint): { before?: number; after?: number } {
  const seconds = ranges.flatMap((range) => wholeSeconds(range) ?? [])
  // A second lies before the time if its increment 0 does.
  const [floor, ceil] = [Number(time >> 32n), Number((time + 0xffffffffn) >> 32n)]
  const before = seconds.flatMap(({ start, end }) => (start <= floor ? [Math.min(end, floor)] : [])).at(-1)
  const after = seconds.flatMap(({ start, end }) => (end >= ceil ? [Math.max(start, ceil)] : []))[0]
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
}

function gapsBetween(chains: readonly TimeRange[], cuts: ReadonlySet<bigint>): TimeRange[] {
  // Where a barrier has cut a chain, nothing is missing.
  return chains
    .slice(1)
    .map(({ start }, at) => ({ start: chains[at]?.end ?? 0n, end: start }))
    .filter(({ start, end }) => !cuts.has(end) || end > start + 1n)
}

function union(ranges: readonly TimeRange[]): TimeRange[] {
  const merged: { start: bigint; end: bigint }[] = []
  for (const { start, end } of ranges.toSorted((a, b) => (a.start < b.start ? -1 : 1))) {
    const last = merged.at(-1)
    if (last === undefined || start > last.end + 1n) merged.push({ start, end })
    else if (end > last.end) last.end = end
  }
  return merged
}

function intersection(some: readonly TimeRange[], others: readonly TimeRange[]): TimeRange[] {
  return some.flatMap((a) =>
    others
      .map((b) => ({ start: a.start > b.start ? a.start : b.start, end: a.end < b.end ? a.end : b.end }))
      .filter(({ start, end }) => start <= end),
  )
}

function difference(ranges: readonly TimeRange[], taken: readonly TimeRange[]): TimeRange[] {
  return taken.reduce<readonly TimeRange[]>(
    (left, { start, end }) =>
      left.flatMap((range) => {
        if (range.end < start || range.start > end) return [range]
        return [
          { start: range.start, end: start - 1n },
          { start: end + 1n, end: range.end },
        ].filter((part) => part.start <= part.end)
      }),
    ranges,
  ) as TimeRange[]
}
