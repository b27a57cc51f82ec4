import { PbmError } from '../errors.js'
import { optime } from '../oplog/entry.js'
import { tableTime } from '../time/text.js'
import {
  type Base,
  baseReaching,
  type ChunkBounds,
  closestSeconds,
  contains,
  restorableFrom,
  type Timelines,
  type TimeRange,
  timelines,
} from './timelines.js'

export interface PointInTimeQuestion<B extends Base> {
  /** Of all replica sets. */
  readonly chunks: Iterable<ChunkBounds>
  /** Those that may be chosen from. */
  readonly bases: readonly B[]
  /** The time to restore to, as `optime` has it; inclusive. */
  readonly target: bigint
  /** Set: no other one is taken. */
  readonly base?: B | undefined
  /** Those that are taken rather than newer ones; any when absent. */
  readonly isPreferred?: ((base: B) => boolean) | undefined
}

/**
 * The base to restore to `target` from: the newest one that leads there. Throws `RESTORE_TIME`, which tells why none
 * does, and the nearest times that can be restored to. Pure.
 */
export function planPointInTime<B extends Base>({
  chunks,
  bases,
  target,
  base,
  isPreferred = () => true,
}: PointInTimeQuestion<B>): B {
  const all = [...chunks]
  const lines = timelines(all, base === undefined ? bases : [base])
  if (base !== undefined) {
    const range = restorableFrom(base, lines.perReplset)
    if (range !== undefined && contains(range, target)) return base
    throw refusal(withBase(base, range, target, lines), lines.ranges, target)
  }
  const reaching = (some: readonly B[]) => baseReaching(some, lines.perReplset, target)
  const chosen = reaching(bases.filter(isPreferred)) ?? reaching(bases)
  if (chosen !== undefined) return chosen
  throw refusal(withoutBase(target, lines), lines.ranges, target)
}

export interface ReplayQuestion<C extends ChunkBounds> {
  /** Of one replica set. */
  readonly chunks: readonly C[]
  readonly rs: string
  /** Both inclusive. */
  readonly start: bigint
  readonly end: bigint
}

/**
 * The chunks to replay from `start` to `end`, in order of their start. A start given in seconds may lie before the first
 * chunk's in the very second. Throws `REPLAY_RANGE`, which tells what is stored. Pure.
 */
export function planReplay<C extends ChunkBounds>({ chunks, rs, start, end }: ReplayQuestion<C>): C[] {
  // Only data is replayed; what the cluster is, is for the person to know who asks for it.
  const bounds = chunks.map((chunk) => ({ rs: chunk.rs, start_ts: chunk.start_ts, end_ts: chunk.end_ts }))
  const stored = [...timelines(bounds, []).perReplset.values()].flat()
  const refuse = (message: string) => {
    const ranges = stored.map((range) => `${moment(range.start)} to ${moment(range.end)}`).slice(-5)
    return new PbmError('REPLAY_RANGE', message, {
      hint: ranges.length === 0 ? 'pbm list --unbacked shows what is stored.' : `Stored is: ${ranges.join('; ')}.`,
    })
  }
  if (end <= start) throw refuse(`The end ${moment(end)} does not lie after the start ${moment(start)}`)
  const inSecond = (range: TimeRange) => (start & 0xffffffffn) === 0n && range.start >> 32n === start >> 32n
  const chain = stored.find((range) => range.end >= start && (range.start <= start || inSecond(range)))
  if (chain === undefined) throw refuse(`No stored oplog of ${rs} begins at or before ${moment(start)}`)
  if (chain.end < end) {
    throw refuse(`The stored oplog of ${rs} reaches ${moment(chain.end)} without a gap, not ${moment(end)}`)
  }
  const from = chain.start > start ? chain.start : start
  return chunks
    .filter((chunk) => optime(chunk.end_ts) >= from && optime(chunk.start_ts) <= end)
    .toSorted((a, b) => a.start_ts.compare(b.start_ts))
}

function withBase(base: Base, range: TimeRange | undefined, target: bigint, lines: Timelines): string {
  const end = optime(base.last_write_ts)
  if (target <= end)
    return `Backup ${base.name} holds the state of ${moment(end)}, which is not before ${moment(target)}`
  const why = breakText(lines, range?.end ?? end, target)
  if (range === undefined) {
    return `No stored oplog goes on from the end of backup ${base.name}, ${moment(end)}${why}`
  }
  return `The oplog stored after backup ${base.name} reaches ${moment(range.end)}, not ${moment(target)}${why}`
}

function withoutBase(target: bigint, lines: Timelines): string {
  const { ranges } = lines
  const [first, last] = [ranges[0], ranges.at(-1)]
  if (first === undefined || last === undefined) {
    return `${moment(target)} can't be restored to: there is no backup with stored oplog after it`
  }
  if (target < first.start) return `${moment(target)} lies before the first time that can be restored to`
  const before = ranges.findLast(({ end }) => end < target) ?? last
  const why = breakText(lines, before.end, target)
  if (target > last.end) return `${moment(target)} lies after the last time that can be restored to${why}`
  return `${moment(target)} lies between two ranges that can be restored to${why}`
}

/** What ends a range after `from`, and before `to`. */
function breakText(lines: Timelines, from: bigint, to: bigint): string {
  const gap = firstGap(lines.gaps, from, to)
  const barrier = lines.barriers.find(({ ts }) => optime(ts) > from && optime(ts) <= to)
  if (barrier === undefined || (gap !== undefined && gap.gap.start < optime(barrier.ts))) return gapText(gap)
  return `; ${barrier.what} at ${moment(optime(barrier.ts))}, and only a backup made after it leads further`
}

function firstGap(
  gaps: ReadonlyMap<string, readonly TimeRange[]>,
  from: bigint,
  to: bigint,
): { rs: string; gap: TimeRange } | undefined {
  return [...gaps]
    .flatMap(([rs, own]) => own.map((gap) => ({ rs, gap })))
    .filter(({ gap }) => gap.end > from && gap.start < to)
    .sort((a, b) => (a.gap.start < b.gap.start ? -1 : 1))[0]
}

function gapText(found: { rs: string; gap: TimeRange } | undefined): string {
  if (found === undefined) return ''
  return `; the stored oplog of ${found.rs} has a gap from ${moment(found.gap.start)} to ${moment(found.gap.end)}`
}

function refusal(message: string, ranges: readonly TimeRange[], target: bigint): PbmError {
  const nearest = Object.values(closestSeconds(ranges, target))
    .filter((seconds, at, all) => all.indexOf(seconds) === at)
    .map((seconds) => tableTime(seconds))
  const hint =
    nearest.length === 0
      ? 'pbm list shows what can be restored.'
      : `The nearest ${nearest.length === 1 ? 'time is' : 'times are'} ${nearest.join(' and ')}; pbm list shows all ranges.`
  return new PbmError('RESTORE_TIME', message, { hint })
}

/** As `--time` takes it: UTC, with an increment as `T,I` behind it where there is one. */
function moment(time: bigint): string {
  const [seconds, increment] = [Number(time >> 32n), Number(time & 0xffffffffn)]
  return increment === 0 ? tableTime(seconds) : `${tableTime(seconds)} (${seconds},${increment})`
}
