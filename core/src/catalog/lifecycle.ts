import type { LifecycleConfig } from '../config/document.js'
import type { BackupDocument } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import { type Inventory, isFinished, isNeededForSlicing, isOfProfile, isSelective } from './retention.js'

/**
 * Which backups stay by `lifecycle` of the configuration: of days, weeks and months (PBM: parity.md §6). All times are UTC,
 * and a backup's is that of its start. Pure: works on what the control collections said. Chunks of the oplog are not touched.
 */
export type KeepReason = 'daily' | 'weekly' | 'monthly' | 'chain' | 'pitr base' | 'running' | 'selective' | 'failed'

export interface LifecyclePlan {
  /** Newest first. */
  readonly kept: readonly { readonly backup: BackupDocument; readonly reasons: readonly KeepReason[] }[]
  /** Newest first, so that no increment outlives what it builds on. */
  readonly purged: readonly BackupDocument[]
}

const DAY_SECONDS = 86_400
const WEEK_DAYS = 7
const ROLLING_MONTH_DAYS = 30
/** 1970-01-01 was a Thursday; weeks begin on Sunday. */
const WEEKDAY_OF_EPOCH = 4

interface Tier {
  readonly reason: KeepReason
  /** How many windows back from the one of now, itself included, count. */
  readonly windows: number
  /** 0 for the window of now, 1 for the one before. */
  windowOf(seconds: number): number
  /** Of a window, the backup with the least stays. */
  distance(seconds: number): number
}

/**
 * What stays of the storage of `profile` ('' for the main one), and what goes. While `enabled` is not true, all stays.
 *
 * @param at Unix seconds
 */
export function lifecyclePlan(inventory: Inventory, rules: LifecycleConfig, at: number, profile = ''): LifecyclePlan {
  const backups = inventory.backups
    .filter((backup) => isOfProfile(backup, profile))
    .toSorted((a, b) => b.start_ts - a.start_ts || (a.name < b.name ? 1 : -1))
  const reasons = new Map(backups.map((backup) => [backup.name, new Set<KeepReason>()]))
  const keep = (backup: BackupDocument, reason: KeepReason) => reasons.get(backup.name)?.add(reason)
  const good = backups.filter((backup) => backup.status === 'done' && !isSelective(backup))
  const isOfTheDay = dailyWindow(rules, at)
  for (const backup of backups) {
    if (isSelective(backup)) keep(backup, 'selective')
    else if (!isFinished(backup)) keep(backup, 'running')
    else if (backup.status !== 'done' && rules.purgeFailed !== true) keep(backup, 'failed')
    else if (isOfTheDay(backup.start_ts)) keep(backup, 'daily')
  }
  for (const tier of tiers(rules, at)) for (const backup of nearestOfEach(tier, good)) keep(backup, tier.reason)
  const isKept = ({ name }: BackupDocument) => (reasons.get(name)?.size ?? 0) > 0
  const alive = backups.filter((backup) => backup.status === 'done' || !isFinished(backup))
  keepChainsWhole(alive, isKept, (backup) => keep(backup, 'chain'))
  for (const backup of basesOf(backups, isKept, inventory)) keep(backup, 'pitr base')
  keepChainsWhole(alive, isKept, (backup) => keep(backup, 'chain'))
  const isOff = rules.enabled !== true
  return {
    kept: backups
      .filter((backup) => isOff || isKept(backup))
      .map((backup) => ({ backup, reasons: [...(reasons.get(backup.name) ?? [])] })),
    purged: isOff ? [] : backups.filter((backup) => !isKept(backup)),
  }
}

/** Those that point-in-time recovery rests on when all others have gone that don't stay: each of two may do for the other. */
function basesOf(
  backups: readonly BackupDocument[],
  isKept: (backup: BackupDocument) => boolean,
  inventory: Inventory,
): BackupDocument[] {
  let left = inventory.backups
  return backups.filter((backup) => {
    if (isNeededForSlicing(backup, { ...inventory, backups: left })) return true
    if (!isKept(backup)) left = left.filter((one) => one !== backup)
    return false
  })
}

/**
 * LIFECYCLE_MIN_KEEP where fewer whole backups would stay than `minKeep` asks for, or no days, weeks and months are set: then
 * nothing may go.
 */
export function minKeepFault({ kept, purged }: LifecyclePlan, rules: LifecycleConfig): PbmError | undefined {
  if (purged.length === 0) return undefined
  const hint = 'Set the days, weeks or months that stay: pbm config --set lifecycle.dailyRetention=7'
  const { minKeep = 1, dailyRetention = 0, weeklyRetention = 0, monthlyRetention = 0 } = rules
  if (dailyRetention + weeklyRetention + monthlyRetention === 0)
    return new PbmError('LIFECYCLE_MIN_KEEP', 'lifecycle has no days, weeks or months that stay: nothing is deleted', {
      hint,
    })
  const staying = kept.filter(({ backup }) => backup.status === 'done' && !isSelective(backup)).length
  if (staying >= minKeep) return undefined
  const text = `lifecycle would leave ${staying} whole backups, fewer than its minKeep (${minKeep}): nothing is deleted`
  return new PbmError('LIFECYCLE_MIN_KEEP', text, { hint })
}

/** All of a day stay. */
function dailyWindow({ strategy, dailyRetention = 0 }: LifecycleConfig, at: number): (seconds: number) => boolean {
  if (dailyRetention === 0) return () => false
  if (strategy !== 'calendar') return (seconds) => at - seconds < dailyRetention * DAY_SECONDS
  return (seconds) => dayOf(at) - dayOf(seconds) < dailyRetention
}

function tiers(rules: LifecycleConfig, at: number): Tier[] {
  const { weeklyRetention = 0, monthlyRetention = 0, weeklyDay = 0, monthlyDay = 1 } = rules
  const weekly = { reason: 'weekly', windows: weeklyRetention } as const
  const monthly = { reason: 'monthly', windows: monthlyRetention } as const
  if (rules.strategy !== 'calendar') {
    const age = (days: number) => ({
      windowOf: (seconds: number) => Math.max(0, Math.floor((at - seconds) / (days * DAY_SECONDS))),
      distance: (seconds: number) => -seconds,
    })
    return [
      { ...weekly, ...age(WEEK_DAYS) },
      { ...monthly, ...age(ROLLING_MONTH_DAYS) },
    ]
  }
  return [
    {
      ...weekly,
      windowOf: (seconds) => weekOf(at) - weekOf(seconds),
      distance: (seconds) => Math.abs(dayOf(seconds) - (weekOf(seconds) * WEEK_DAYS - WEEKDAY_OF_EPOCH + weeklyDay)),
    },
    {
      ...monthly,
      windowOf: (seconds) => monthOf(at) - monthOf(seconds),
      distance: (seconds) => {
        const date = new Date(seconds * 1000)
        const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
        return Math.abs(date.getUTCDate() - Math.min(monthlyDay, last))
      },
    },
  ]
}

/** One of each type and window; of two that are as near, the newer one. `backups`: newest first. */
function nearestOfEach({ windows, windowOf, distance }: Tier, backups: readonly BackupDocument[]): BackupDocument[] {
  const nearest = new Map<string, BackupDocument>()
  for (const backup of backups) {
    const window = windowOf(backup.start_ts)
    if (window >= windows) continue
    const key = `${backup.type} ${window}`
    const known = nearest.get(key)
    if (known === undefined || distance(backup.start_ts) < distance(known.start_ts)) nearest.set(key, backup)
  }
  return [...nearest.values()]
}

/** Increments and what they build on stay or go together. */
function keepChainsWhole(
  backups: readonly BackupDocument[],
  isKept: (backup: BackupDocument) => boolean,
  keep: (backup: BackupDocument) => void,
): void {
  const byName = new Map(backups.map((backup) => [backup.name, backup]))
  const links = backups.flatMap((backup) => {
    const source = byName.get(backup.src_backup ?? '')
    return source === undefined ? [] : [[source, backup] as const]
  })
  for (let found = true; found; ) {
    found = false
    for (const link of links) {
      const [kept, other] = isKept(link[0]) ? link : link.toReversed()
      if (kept === undefined || other === undefined || !isKept(kept) || isKept(other)) continue
      keep(other)
      found = true
    }
  }
}

const dayOf = (seconds: number) => Math.floor(seconds / DAY_SECONDS)

const weekOf = (seconds: number) => Math.floor((dayOf(seconds) + WEEKDAY_OF_EPOCH) / WEEK_DAYS)

function monthOf(seconds: number): number {
  const date = new Date(seconds * 1000)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}
