import { Timestamp } from 'bson'
import type { BackupDocument } from '../control/backup-document.js'
import { isTimestampSet } from '../control/backups.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import { profileOf } from '../control/profiles.js'
import { optime } from '../oplog/entry.js'
import { sourceName } from './chain.js'
import { type Chain, chainsByReplset, contains, restorableFrom } from './timelines.js'

/**
 * Which backups and chunks may go without making the rest unrestorable (PBM: control-plane.md §5.5). Pure: works on what
 * the control collections said.
 */
export interface Inventory {
  readonly backups: readonly BackupDocument[]
  readonly chunks: readonly PitrChunkDocument[]
  /** PITR is on and wants base snapshots (not `oplogOnly`). */
  readonly slicing: boolean
}

export interface Expired {
  /** Oldest first. */
  readonly backups: BackupDocument[]
  readonly chunks: PitrChunkDocument[]
}

const FINISHED = new Set(['done', 'canceled', 'error'])

export function isFinished(backup: BackupDocument): boolean {
  return FINISHED.has(backup.status)
}

/** `profile`: '' for the main storage. */
export function isOfProfile({ store }: Pick<BackupDocument, 'store'>, profile: string): boolean {
  return (profileOf({ store }) ?? '') === profile
}

export function isSelective(backup: Pick<BackupDocument, 'nss'>): boolean {
  return backup.nss !== undefined && backup.nss.length > 0 && !backup.nss.includes('*.*')
}

/** Whether point-in-time recovery can start from the backup. */
export function isBaseSnapshot(backup: Pick<BackupDocument, 'status' | 'type' | 'nss'>): boolean {
  return backup.status === 'done' && backup.type !== 'external' && !isSelective(backup)
}

/** Whether a restore to a time can start from it without being told to. */
export function isPointInTimeBase(backup: Pick<BackupDocument, 'status' | 'type' | 'nss' | 'store'>): boolean {
  return backup.store.profile !== true && isBaseSnapshot(backup)
}

/**
 * Whether point-in-time recovery rests on this backup: no later base exists, and the oplog up to it does
 * not reach back to an earlier base without a gap. Stricter than PBM, which lets the only base go while no chunk exists yet.
 */
export function isNeededForSlicing(backup: BackupDocument, inventory: Inventory): boolean {
  if (!inventory.slicing || backup.store.profile === true) return false
  // All that builds on it goes with it.
  const going = withIncrements(backup, inventory.backups)
  const staying = { ...inventory, backups: inventory.backups.filter((one) => !going.includes(one)) }
  const isBase = baseAmong(inventory.backups)
  return going.some((one) => isBase(one) && isLastBase(one, staying))
}

/** Which of them a restore can start from: of an increment, all that it builds on has to be there. */
function baseAmong(backups: readonly BackupDocument[]): (backup: BackupDocument) => boolean {
  const links = new Map(
    backups.filter(({ type, status }) => type === 'incremental' && status === 'done').map((one) => [one.name, one]),
  )
  const isWhole = (backup: BackupDocument): boolean => {
    const seen = new Set([backup.name])
    for (let name = sourceName(backup); name !== undefined; ) {
      const source = links.get(name)
      if (source === undefined || seen.has(name)) return false
      seen.add(name)
      name = sourceName(source)
    }
    return true
  }
  return (backup) => isBaseSnapshot(backup) && isWhole(backup)
}

/** A backup and all that builds on it, in the order in which they do. */
export function withIncrements(backup: BackupDocument, backups: readonly BackupDocument[]): BackupDocument[] {
  const chain = [backup]
  if (backup.type !== 'incremental') return chain
  for (const one of chain) {
    for (const next of backups) if (sourceName(next) === one.name && !chain.includes(next)) chain.push(next)
  }
  return chain
}

function isLastBase(backup: BackupDocument, inventory: Inventory): boolean {
  const isBase = baseAmong(inventory.backups)
  const isOther = (other: BackupDocument) => other.name !== backup.name && isPointInTimeBase(other) && isBase(other)
  const bases = inventory.backups.filter(isOther)
  if (bases.some(({ last_write_ts }) => last_write_ts.greaterThan(backup.last_write_ts))) return false
  const previous = bases.reduce<BackupDocument | undefined>(
    (newest, base) => (newest?.last_write_ts.greaterThan(base.last_write_ts) === true ? newest : base),
    undefined,
  )
  const chains = chainsByReplset(inventory.chunks)
  return previous === undefined || !isCovered(chains, previous.replsets, previous.last_write_ts, backup.last_write_ts)
}

/** Whether the chunks lead without a gap from `from` to `to` on every one of `replsets`. */
function isCovered(
  chains: ReadonlyMap<string, readonly Chain[]>,
  replsets: readonly { readonly name: string }[],
  from: Timestamp,
  to: Timestamp,
): boolean {
  const [start, end] = [optime(from), optime(to)]
  if (start < end) return (restorableFrom({ last_write_ts: from, replsets }, chains)?.end ?? 0n) >= end
  return (
    replsets.length > 0 &&
    replsets.every(({ name }) => chains.get(name)?.some((chain) => chain.start <= start && chain.end >= end) === true)
  )
}

/**
 * What may be deleted of all that ends at or before `limit` (seconds count, as in PBM). Every time from `limit` on that
 * could be restored to still can be: never a base that the chunks after it need to reach `limit`, nor one that slicing
 * needs, nor a chunk that a later base needs (which PBM deletes), nor a chain with increments after `limit`.
 */
export function expired(inventory: Inventory, limit: Timestamp, profile = ''): Expired {
  const older = inventory.backups
    .filter((backup) => isFinished(backup) && isOfProfile(backup, profile))
    .filter((backup) => endOf(backup).t <= limit.t)
    .toSorted((a, b) => endOf(a).compare(endOf(b)))
  const chunks = profile === '' ? inventory.chunks.filter(({ start_ts }) => start_ts.lessThan(limit)) : []
  const chains = chainsByReplset(inventory.chunks)
  const endingBy = (end: Timestamp, base?: BackupDocument) =>
    chunks.filter((chunk) => chunk.end_ts.lessThanOrEqual(end) && !isFromNothing(chunk, base, chains))

  // Not simply the last of all: one of the same second, that is no base, may have ended after it.
  const isBase = baseAmong(inventory.backups)
  const last = older.findLast(isBase)
  if (last?.last_write_ts.t === limit.t) {
    const others = older.filter((backup) => backup !== last)
    return { backups: withoutLiveChain(others, inventory), chunks: endingBy(last.last_write_ts, last) }
  }
  if (profile !== '') return { backups: withoutLiveChain(older, inventory), chunks }
  const base = neededBase(older.filter(isBase), inventory, limit)
  const kept = older.filter(({ name }) => name !== base?.name)
  return { backups: withoutLiveChain(kept, inventory), chunks: endingBy(base?.last_write_ts ?? limit, base) }
}

/** Whether a restore from `base` needs the chunk though it ends before: of a shard that the base does not have. */
function isFromNothing(
  { rs, start_ts }: PitrChunkDocument,
  base: BackupDocument | undefined,
  chains: ReadonlyMap<string, readonly Chain[]>,
): boolean {
  if (base === undefined || base.replsets.some(({ name }) => name === rs)) return false
  const chain = chains.get(rs)?.find((one) => contains(one, optime(start_ts)))
  return chain?.fromNothing !== undefined && chain.end > optime(base.last_write_ts)
}

/** One that failed early has no last write: PBM takes it for older than everything, and deletes it as soon as it ended. */
function endOf({ status, last_write_ts, last_transition_ts }: BackupDocument): Timestamp {
  if (status === 'done' || isTimestampSet(last_write_ts)) return last_write_ts
  return new Timestamp({ t: Number(last_transition_ts), i: 1 })
}

/** The newest of the bases from which a time at or after `limit` can be reached, or will be by slicing. */
function neededBase(
  bases: readonly BackupDocument[],
  inventory: Inventory,
  limit: Timestamp,
): BackupDocument | undefined {
  const chains = chainsByReplset(inventory.chunks)
  const reaching = bases.findLast(({ replsets, last_write_ts }) => isCovered(chains, replsets, last_write_ts, limit))
  if (reaching !== undefined || !inventory.slicing) return reaching
  const isBase = baseAmong(inventory.backups)
  const isLater = (backup: BackupDocument) =>
    isPointInTimeBase(backup) && isBase(backup) && backup.last_write_ts.greaterThan(limit)
  return inventory.backups.some(isLater) ? undefined : bases.at(-1)
}

/** Leaves out the chain of increments that a backup outside `candidates` still builds on. */
function withoutLiveChain(candidates: readonly BackupDocument[], inventory: Inventory): BackupDocument[] {
  const going = new Set(candidates.map(({ name }) => name))
  const kept = new Set<string>()
  const byName = new Map(inventory.backups.map((backup) => [backup.name, backup]))
  for (const backup of inventory.backups) {
    if (going.has(backup.name) || backup.status === 'error' || backup.status === 'canceled') continue
    for (
      let source = backup.src_backup;
      source !== undefined && !kept.has(source);
      source = byName.get(source)?.src_backup
    )
      kept.add(source)
  }
  return candidates.filter(({ name }) => !kept.has(name))
}
