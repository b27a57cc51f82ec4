import type { Document, MongoClient, Timestamp } from 'mongodb'
import { isBaseSnapshot } from '../catalog/retention.js'
import type { Config } from '../config/document.js'
import { sameStorage } from '../config/same-storage.js'
import type { BackupDocument } from '../control/backup-document.js'
import { listBackups } from '../control/backups.js'
import { findLastChunk } from '../control/pitr-chunks.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { hasChangedData, listRestores } from '../control/restores.js'
import { PbmError } from '../errors.js'
import { secondsOf } from '../mongo/cluster-time.js'
import { clusterMembers } from '../mongo/topology.js'
import { majorityLastWrite } from '../oplog/reading/window.js'
import type { PluginHost } from '../plugin-host/host.js'
import { type BaseSnapshot, type CatchUp, catchUp, type RestoreTimes } from './catch-up.js'
import { lackOfHistory } from './whole-history.js'

export interface StartingPointOptions {
  readonly leader: MongoClient
  readonly node: MongoClient
  readonly rs: string
  readonly config: Config
  readonly host: PluginHost
}

/** Where a slicer on this node would begin, or what it waits for: {@link catchUp} over what is so now. */
export async function startingPoint({ leader, node, rs, config, host }: StartingPointOptions): Promise<CatchUp> {
  const [leading] = await clusterMembers(leader)
  const [last, base, clusterBase, restore, oldest, now] = await Promise.all([
    findLastChunk(leader, rs),
    findNewestBase(leader, config, host, rs),
    findNewestBase(leader, config, host, leading?.rs),
    findNewestRestore(leader),
    oldestEntry(node),
    majorityLastWrite(node),
  ])
  const isNew = base === undefined && clusterBase !== undefined
  // Not looked for where a chain goes on: a shard may write for long before a backup has it.
  const goesOn = last !== undefined && oldest.lessThanOrEqual(last.end_ts)
  const lackOf = async () => (goesOn ? 'its stored oplog is of before a restore' : await lackOfHistory(node))
  return catchUp({
    oplogOnly: config.pitr?.oplogOnly === true,
    chunks: last === undefined ? [] : [last],
    base,
    clusterBase,
    lack: isNew ? await lackOf() : undefined,
    restore,
    oldest,
    now,
  })
}

/** The newest full snapshot on the main storage; with `rs` only one that has this replica set. */
export async function findNewestBase(
  leader: MongoClient,
  config: Config,
  host: PluginHost,
  rs?: string,
): Promise<BaseSnapshot | undefined> {
  const backups = (await listBackups(leader, { profile: null, status: 'done' })).filter(isBaseSnapshot)
  for (const backup of backups.sort(newestBaseFirst)) {
    if (rs !== undefined && !backup.replsets.some(({ name }) => name === rs)) continue
    // Between a change of the storage and the resync that follows it, the list is still that of the storage before.
    if (!(await sameStorage(backup.store, config.storage, host))) continue
    return toBase(backup)
  }
  return undefined
}

export function toBase({ name, start_ts, first_write_ts, last_write_ts }: BackupDocument): BaseSnapshot {
  return { name, startedAt: secondsOf(first_write_ts) || start_ts, lastWrite: last_write_ts }
}

/** Orders by cluster time: `start_ts` is the clock of one machine or another. */
export function newestBaseFirst(one: BackupDocument, other: BackupDocument): number {
  return toBase(other).startedAt - toBase(one).startedAt
}

/** As {@link newestBaseFirst}, by their ends. */
export function newestRestoreFirst(one: RestoreDocument, other: RestoreDocument): number {
  return restoreTimes(other).endedAt - restoreTimes(one).endedAt
}

/**
 * By cluster time, for clocks of machines may be hours apart. Its last heartbeat lies within the restore, or ends it: no
 * backup runs at the same time.
 */
export function restoreTimes({ start_ts, last_transition_ts, hb }: RestoreDocument): RestoreTimes {
  const beat = secondsOf(hb)
  return beat === 0 ? { startedAt: start_ts, endedAt: last_transition_ts } : { startedAt: beat, endedAt: beat }
}

/**
 * The newest restore or replay that changed data, whether it ended well or not. One of a part of the data is passed over:
 * what it did is in the oplog like anybody's work.
 */
export async function findNewestRestore(leader: MongoClient): Promise<RestoreTimes | undefined> {
  const whole = (await listRestores(leader)).filter(({ selection }) => selection === undefined)
  const [restore] = whole.filter(hasChangedData).sort(newestRestoreFirst)
  return restore && restoreTimes(restore)
}

async function oldestEntry(node: MongoClient): Promise<Timestamp> {
  const oplog = node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' })
  const oldest = await oplog.findOne({}, { sort: { $natural: 1 }, projection: { _id: 0, ts: 1 } })
  if (oldest === null) throw new PbmError('OPLOG_EMPTY', 'the oplog is empty')
  return oldest.ts as Timestamp
}
