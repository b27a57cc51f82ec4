import { type BackupDocument, isBaseSnapshot, listChunks } from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'

/** A stretch of time in Unix seconds, both ends inclusive. */
export interface Timeline {
  start: number
  end: number
}

/** One range in the JSON of `list` and `status`, with PBM's names. */
export interface PitrRange {
  range: Timeline
  noBaseSnapshot?: true
}

interface Chunk {
  readonly rs: string
  readonly start_ts: Timestamp
  readonly end_ts: Timestamp
  readonly size: number
}

/** What of the stored oplog chunks could be restored to (PBM: control-plane.md §5.4, Timelines). `size` is in bytes. */
export async function pitrRanges(
  leader: MongoClient,
  backups: readonly BackupDocument[],
  options: { readonly unbacked?: boolean },
): Promise<{ ranges: PitrRange[]; rsRanges: Record<string, PitrRange[]>; size: number }> {
  const chunks = await listChunks(leader)
  const byReplset = [...Map.groupBy(chunks, ({ rs }) => rs)].map(([rs, own]) => ({ rs, lines: timelines(own) }))
  const bases = backups.filter(isBaseSnapshot)
  return {
    ranges: commonTimelines(byReplset.map(({ lines }) => lines))
      .flatMap((line) => splitAtBase(line, bases))
      .filter(({ noBaseSnapshot }) => noBaseSnapshot !== true || options.unbacked === true),
    rsRanges: Object.fromEntries(byReplset.map(({ rs, lines }) => [rs, lines.map((range) => ({ range }))])),
    size: chunks.reduce((total, { size }) => total + Number(size), 0),
  }
}

/** Chunks of one replica set joined where one begins no later than the one before ends; oldest first. */
export function timelines(chunks: readonly Pick<Chunk, 'start_ts' | 'end_ts'>[]): Timeline[] {
  const lines: { start: Timestamp; end: Timestamp }[] = []
  for (const { start_ts, end_ts } of chunks.toSorted((a, b) => a.start_ts.compare(b.start_ts))) {
    const last = lines.at(-1)
    if (last === undefined || start_ts.greaterThan(last.end)) lines.push({ start: start_ts, end: end_ts })
    else if (end_ts.greaterThan(last.end)) last.end = end_ts
  }
  return lines.map(({ start, end }) => ({ start: start.t, end: end.t }))
}

/** The stretches that every replica set covers. */
export function commonTimelines(replsets: readonly (readonly Timeline[])[]): Timeline[] {
  const [first, ...others] = replsets
  if (first === undefined) return []
  return others.reduce<Timeline[]>(
    (common, lines) =>
      common.flatMap((a) =>
        lines
          .map((b) => ({ start: Math.max(a.start, b.start), end: Math.min(a.end, b.end) }))
          .filter(({ start, end }) => start <= end),
      ),
    [...first],
  )
}

/** Only what lies after the last write of a base can be restored to; the part before it has none. */
export function splitAtBase(
  line: Timeline,
  bases: readonly Pick<BackupDocument, 'first_write_ts' | 'last_write_ts'>[],
): PitrRange[] {
  const base = bases
    .toSorted((a, b) => a.last_write_ts.compare(b.last_write_ts))
    .find(({ first_write_ts, last_write_ts }) => last_write_ts.t >= line.start && first_write_ts.t <= line.end)
  const from = base?.last_write_ts.t
  if (from === undefined || from > line.end) return [{ range: line, noBaseSnapshot: true }]
  const ranges: PitrRange[] = []
  if (from > line.start) ranges.push({ range: { start: line.start, end: from }, noBaseSnapshot: true })
  if (from < line.end) ranges.push({ range: { start: from + 1, end: line.end } })
  return ranges
}
