import {
  type BackupDocument,
  type Base,
  type ChunkBounds,
  isBaseSnapshot,
  isPointInTimeBase,
  type SecondsRange,
  type TimeRange,
  timelines,
  touchedSeconds,
  wholeSeconds,
} from '@pbmkit/core'

/** One range in the JSON of `list` and `status`, with PBM's names; Unix seconds, both ends inclusive. */
export interface PitrRange {
  range: SecondsRange
  noBaseSnapshot?: true
}

export interface PitrRanges {
  ranges: PitrRange[]
  rsRanges: Record<string, PitrRange[]>
}

/** The backups that slicing goes on from: those on the storage of the chunks. */
export function slicingBasesOf(backups: readonly BackupDocument[]): BackupDocument[] {
  return backups.filter((backup) => backup.store.profile !== true && isBaseSnapshot(backup))
}

/** Those of them that a restore to a time can start from. Those of a profile only by name. */
export function basesOf(backups: readonly BackupDocument[]): BackupDocument[] {
  return backups.filter(isPointInTimeBase)
}

/** What of the stored chunks can be restored to, oldest first. */
export function rangesOf(
  chunks: readonly ChunkBounds[],
  bases: readonly Base[],
  options: { readonly unbacked?: boolean },
): PitrRanges {
  const lines = timelines(chunks, bases)
  const backed = lines.ranges.flatMap((range) => toRange(wholeSeconds(range)))
  const others = options.unbacked === true ? lines.unbacked.flatMap(unbackedRange) : []
  return {
    ranges: [...backed, ...others].sort((a, b) => a.range.start - b.range.start || a.range.end - b.range.end),
    rsRanges: Object.fromEntries(
      [...lines.perReplset].map(([rs, chains]) => [rs, chains.map((chain) => ({ range: touchedSeconds(chain) }))]),
    ),
  }
}

/** The unbroken stretches of each replica set. */
export function touched(chunks: readonly ChunkBounds[]): Map<string, SecondsRange[]> {
  return new Map([...timelines(chunks, []).perReplset].map(([rs, chains]) => [rs, chains.map(touchedSeconds)]))
}

function toRange(range: SecondsRange | undefined): PitrRange[] {
  return range === undefined ? [] : [{ range }]
}

/** Parts of a single second are of no use and not shown, as in PBM: chunks begin a little before the end of a backup. */
function unbackedRange(part: TimeRange): PitrRange[] {
  const range = touchedSeconds(part)
  return range.start < range.end ? [{ range, noBaseSnapshot: true }] : []
}
