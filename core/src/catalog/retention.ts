import type { Timestamp } from 'bson'
import type { BackupDocument } from '../control/backup-document.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'

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

export function isSelective(backup: BackupDocument): boolean {
  return backup.nss !== undefined && backup.nss.length > 0 && !backup.nss.includes('*.*')
}

/** Whether point-in-time recovery can start from the backup. */
export function isBaseSnapshot(backup: BackupDocument): boolean {
  return backup.status === 'done' && backup.type !== 'external' && !isSelective(backup)
}

/**
 * Whether point-in-time recovery rests on this backup: no later base exists, and the oplog up to it does not reach back to
 * an earlier base without a gap. Stricter than PBM, which lets the only base go while no chunk exists yet.
 */
export function isNeededForSlicing(backup: BackupDocument, inventory: Inventory): boolean {
  if (!inventory.slicing || !isBaseSnapshot(backup) || backup.store.profile === true) return false
  const bases = inventory.backups.filter(
    (other) => other.name !== backup.name && other.store.profile !== true && isBaseSnapshot(other),
  )
  if (bases.some(({ last_write_ts }) => last_write_ts.greaterThan(backup.last_write_ts))) return false
  const previous = bases.reduce<BackupDocument | undefined>(
    (newest, base) => (newest?.last_write_ts.greaterThan(base.last_write_ts) === true ? newest : base),
    undefined,
  )
  return previous === undefined || !isCovered(inventory.chunks, previous.last_write_ts, backup.last_write_ts)
}

/** Whether every replica set that has chunks has them without a gap from `from` to `to`; false when there is none. */
export function isCovered(chunks: readonly PitrChunkDocument[], from: Timestamp, to: Timestamp): boolean {
  const byReplset = Map.groupBy(chunks, ({ rs }) => rs)
  return (
    byReplset.size > 0 &&
    [...byReplset.values()].every((own) => {
      let reached = from
      for (const chunk of own.toSorted((a, b) => a.start_ts.compare(b.start_ts))) {
        if (chunk.start_ts.greaterThan(reached)) break
        if (chunk.end_ts.greaterThan(reached)) reached = chunk.end_ts
      }
      return reached.greaterThanOrEqual(to)
    })
  )
}

/**
 * What may be deleted of all that ends at or before `limit` (seconds count, as in PBM): never a base that the chunks after
 * it still need to reach `limit`, nor one that slicing needs, nor a chain with increments after `limit`.
 */
export function expired(inventory: Inventory, limit: Timestamp, profile = ''): Expired {
  const older = inventory.backups
    .filter(
      (backup) => isFinished(backup) && (backup.store.profile === true ? (backup.store.name ?? '') : '') === profile,
    )
    .filter(({ last_write_ts }) => last_write_ts.t <= limit.t)
    .toSorted((a, b) => a.last_write_ts.compare(b.last_write_ts))
  const chunks = profile === '' ? inventory.chunks.filter(({ start_ts }) => start_ts.lessThan(limit)) : []
  const endingBy = (end: Timestamp) => chunks.filter(({ end_ts }) => end_ts.lessThanOrEqual(end))

  const last = older.at(-1)
  if (last?.last_write_ts.t === limit.t && isBaseSnapshot(last)) {
    return { backups: withoutLiveChain(older.slice(0, -1), inventory), chunks: endingBy(last.last_write_ts) }
  }
  if (profile !== '') return { backups: withoutLiveChain(older, inventory), chunks }
  const base = older.findLast(isBaseSnapshot)
  if (base === undefined) return { backups: older, chunks: endingBy(limit) }
  const laterBase = inventory.backups.some(
    (backup) => backup.store.profile !== true && isBaseSnapshot(backup) && backup.last_write_ts.greaterThan(limit),
  )
  const needed = isCovered(chunks, base.last_write_ts, limit) || (inventory.slicing && !laterBase)
  const kept = needed ? older.filter(({ name }) => name !== base.name) : older
  return { backups: withoutLiveChain(kept, inventory), chunks: needed ? endingBy(base.last_write_ts) : chunks }
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
