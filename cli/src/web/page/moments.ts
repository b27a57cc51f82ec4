import type { PitrRange } from '../../pitr-ranges.js'
import type { Snapshot } from '../../snapshots.js'

/** What there is to go back to, in order of time. */
export interface Past {
  readonly ranges: readonly PitrRange[]
  /** Done, and to be restored here. */
  readonly backups: readonly Mark[]
  /** Failed and canceled ones. */
  readonly failures: readonly Mark[]
}

export interface Mark {
  /** Unix seconds. */
  readonly at: number
  readonly snapshot: Snapshot
}

export function pastOf(snapshots: readonly Snapshot[], ranges: readonly PitrRange[]): Past {
  const marks = snapshots
    .filter(({ printStatus, restoreTo }) => printStatus !== 'ongoing' && restoreTo > 1)
    .map((snapshot) => ({ at: snapshot.restoreTo, snapshot }))
    .sort((a, b) => a.at - b.at)
  return {
    ranges: ranges.toSorted((a, b) => a.range.start - b.range.start),
    backups: marks.filter(({ snapshot }) => snapshot.printStatus === 'success'),
    failures: marks.filter(({ snapshot }) => snapshot.printStatus === 'failed'),
  }
}

/** From the first to the last of it, and to now. */
export function wholeOf({ ranges, backups, failures }: Past, now: number): { from: number; to: number } {
  const starts = [ranges[0]?.range.start, backups[0]?.at, failures[0]?.at]
  const from = Math.min(now - 3600, ...starts.flatMap((start) => start ?? []))
  const margin = Math.max(60, (now - from) * 0.02)
  return { from: Math.floor(from - margin), to: Math.ceil(now + margin) }
}

/** What a moment is, to somebody who wants to go back to it. */
export interface Moment {
  readonly at: number
  readonly canBeRestored: boolean
  /** In a range to which no backup leads. */
  readonly lacksBase: boolean
  /** The newest backup made before. */
  readonly before?: Mark
  /** The nearest moments that can be restored, where this one can't. */
  readonly nearest: readonly Target[]
}

/** What is restored: a second, or a backup. */
export type Target = { readonly at: number; readonly backup?: string }

export function momentOf(at: number, past: Past): Moment {
  const within = past.ranges.filter(({ range }) => range.start <= at && at <= range.end)
  const canBeRestored = within.some(({ noBaseSnapshot }) => noBaseSnapshot !== true)
  const before = past.backups.findLast((mark) => mark.at <= at)
  return {
    ...{ at, canBeRestored, lacksBase: !canBeRestored && within.length > 0 },
    ...(before === undefined ? {} : { before }),
    nearest: canBeRestored ? [] : nearest(at, past),
  }
}

function nearest(at: number, { ranges, backups }: Past): Target[] {
  const targets: Target[] = [
    ...ranges
      .filter(({ noBaseSnapshot }) => noBaseSnapshot !== true)
      .flatMap(({ range }) => [{ at: range.start }, { at: range.end }]),
    ...backups.map((mark) => ({ at: mark.at, backup: mark.snapshot.name })),
  ].sort((a, b) => a.at - b.at)
  return [targets.findLast((target) => target.at <= at), targets.find((target) => target.at > at)].filter(
    (target) => target !== undefined,
  )
}

/** The newest that can be restored; undefined where there is nothing. */
export function newestOf({ ranges, backups }: Past): Target | undefined {
  const ends = ranges.filter(({ noBaseSnapshot }) => noBaseSnapshot !== true).map(({ range }) => range.end)
  const backup = backups.at(-1)
  const end = Math.max(...ends)
  if (backup !== undefined && backup.at > end) return { at: backup.at, backup: backup.snapshot.name }
  return ends.length === 0 ? undefined : { at: end }
}
