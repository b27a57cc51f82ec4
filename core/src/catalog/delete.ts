import { type MongoClient, Timestamp } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { deleteBackupDocument, listBackups } from '../control/backups.js'
import { readConfig } from '../control/config.js'
import { markDeletion } from '../control/deletion-mark.js'
import { listSlicerLocks } from '../control/locks.js'
import { deleteChunk, listChunks } from '../control/pitr-chunks.js'
import { isMain, lifecycleOf } from '../control/profiles.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { PITR_FOLDER } from '../store/layout/names.js'
import { rfc3339 } from '../time/text.js'
import { deleteBareChecksums } from './bare-checksums.js'
import { sourceName } from './chain.js'
import { deleteOwnChecksum } from './chunk-checksums.js'
import { deleteBareKeys, finishedKeys } from './chunk-keys.js'
import { deleteBackupObjects } from './delete-objects.js'
import { lifecyclePlan, minKeepFault } from './lifecycle.js'
import { expired, type Inventory, isFinished, isNeededForSlicing, isSelective, withIncrements } from './retention.js'

export interface DeleteContext extends CallOptions {
  readonly leader: MongoClient
  /** The storage of what is deleted. */
  readonly store: ObjectStore
  readonly log: OperationLog
  /** Whose storage that is, where many are deleted; left out for the main one. */
  readonly profile?: string | undefined
}

/**
 * Deletes one backup; for the base of an incremental chain, the whole chain, newest first.
 * Rejects with BACKUP_NOT_FOUND, BACKUP_RUNNING, NEEDED_FOR_PITR (point-in-time recovery rests on it), BACKUP_INCREMENT
 * (not the base of its chain), and the codes of the storage; then what is left still stands in the list, marked.
 */
export async function deleteBackup(context: DeleteContext, name: string): Promise<void> {
  const inventory = await readInventory(context.leader)
  const backup = inventory.backups.find((one) => one.name === name)
  if (backup === undefined) {
    throw new PbmError('BACKUP_NOT_FOUND', `backup ${name} is not in the list`, { hint: 'See: pbm list' })
  }
  const chain = chainOf(backup, inventory)
  const unfinished = chain.find((one) => !isFinished(one))
  if (unfinished !== undefined) {
    throw new PbmError('BACKUP_RUNNING', `backup ${unfinished.name} is ${unfinished.status}`, {
      hint: 'Wait for its end or stop it: pbm cancel-backup',
    })
  }
  if (isNeededForSlicing(backup, inventory)) {
    throw new PbmError('NEEDED_FOR_PITR', `backup ${name} is the last base of point-in-time recovery, which is on`, {
      hint: 'Make another backup first, or switch it off: pbm config --set pitr.enabled=false',
    })
  }
  for (const one of chain) await remove(context, one)
}

/**
 * Deletes all backups that ended at or before `limit` (Unix seconds) and that nothing later rests on.
 *
 * @param type `''` for all; `logical` leaves selective ones out, which are `selective`, as in PBM
 * @returns the names deleted, oldest first. Rejects with TIME_IN_FUTURE and the codes of the storage.
 */
export async function deleteBackupsBefore(context: DeleteContext, limit: number, type = ''): Promise<string[]> {
  const { backups } = expired(
    await readInventory(context.leader),
    await pastTime(context.leader, limit),
    context.profile,
  )
  const chosen = backups.filter((backup) => isOfType(backup, type))
  for (const backup of chosen.toReversed()) await remove(context, backup)
  return chosen.map(({ name }) => name)
}

/** Deletes chunks, and with `backups` also backups, that nothing later than `limit` (Unix seconds) rests on. */
export async function deleteOld(
  context: DeleteContext,
  limit: number,
  what: { readonly backups: boolean },
): Promise<{ backups: number; chunks: number }> {
  const { leader, store, log, signal, profile } = context
  const inventory = await readInventory(leader)
  const time = await pastTime(leader, limit)
  const old = expired(inventory, time, profile)
  const { chunks } = inventory
  const keys = new Map<string, string[]>()
  for (const rs of new Set(old.chunks.filter(({ encryption }) => encryption !== undefined).map((chunk) => chunk.rs))) {
    const isSliced = async () => (await listSlicerLocks(leader, { replset: rs })).length > 0
    keys.set(rs, await finishedKeys({ store, chunks, rs, isSliced, signal }))
  }
  for (const chunk of old.chunks) {
    // The index first: a chunk without its document is harmless, a document without its chunk breaks a restore.
    await deleteChunk(leader, chunk)
    // Whatever a document names: only the oplog's objects go with it.
    if (!chunk.fname.startsWith(`${PITR_FOLDER}/`)) continue
    await store.delete(chunk.fname, { signal }).catch((error: unknown) => {
      if (!hasCode(error, 'STORAGE_NOT_FOUND')) throw error
    })
    await deleteOwnChecksum(store, chunk, { signal })
  }
  for (const [rs, names] of keys) await deleteBareKeys(store, rs, names, { signal })
  if (isMain(profile)) {
    const gone = new Set(old.chunks)
    const kept = chunks.filter((chunk) => !gone.has(chunk))
    const bare = await deleteBareChecksums({ store, chunks: kept, limit: time, signal })
    if (bare > 0) log.info(`deleted the checksums of ${bare} chunks that were deleted before`)
  }
  const backups = what.backups ? old.backups.toReversed() : []
  for (const backup of backups) await remove(context, backup)
  return { backups: backups.length, chunks: old.chunks.length }
}

/**
 * Deletes what `lifecycle` of the configuration, or of the context's profile, does not keep at `at` (Unix seconds), and no
 * chunk. Rejects with LIFECYCLE_MIN_KEEP before anything is deleted, TIME_IN_FUTURE, CONFIG_INVALID and the codes of the storage.
 *
 * @returns the names deleted, newest first
 */
export async function deleteByLifecycle(context: DeleteContext, at: number): Promise<string[]> {
  const { leader, profile } = context
  const rules = await lifecycleOf(leader, profile)
  await pastTime(leader, at)
  const plan = lifecyclePlan(await readInventory(leader), rules, at, profile)
  const fault = minKeepFault(plan, rules)
  if (fault !== undefined) throw fault
  for (const backup of plan.purged) await remove(context, backup)
  return plan.purged.map(({ name }) => name)
}

async function remove({ leader, store, log, signal }: DeleteContext, backup: BackupDocument): Promise<void> {
  signal?.throwIfAborted()
  log.info(`deleting backup ${backup.name}`)
  await markDeletion(leader, backup.name)
  const objects = await deleteBackupObjects(store, backup, { signal })
  await deleteBackupDocument(leader, backup.name)
  log.info(`deleted backup ${backup.name}: ${objects} objects`)
}

/** What decides about deletions, as the control collections say now. */
export async function readInventory(leader: MongoClient): Promise<Inventory> {
  const [backups, chunks, config] = await Promise.all([listBackups(leader), listChunks(leader), readConfig(leader)])
  return { backups, chunks, slicing: config?.pitr?.enabled === true && config.pitr.oplogOnly !== true }
}

/** The backup and, for the base of a chain, every increment upon it; newest first. One that failed is no link of any. */
function chainOf(backup: BackupDocument, { backups }: Inventory): BackupDocument[] {
  const source = sourceName(backup)
  if (source !== undefined && backup.status === 'done') {
    throw new PbmError('BACKUP_INCREMENT', `backup ${backup.name} is an increment upon ${source}`, {
      hint: 'Delete the base of the chain: all increments go with it',
    })
  }
  return withIncrements(backup, backups).toReversed()
}

function isOfType(backup: BackupDocument, type: string): boolean {
  if (type === '') return true
  if (type === 'selective') return isSelective(backup)
  return backup.type === type && (type !== 'logical' || !isSelective(backup))
}

async function pastTime(leader: MongoClient, seconds: number): Promise<Timestamp> {
  const now = await clusterTime(leader)
  if (seconds > now.t) {
    throw new PbmError('TIME_IN_FUTURE', `${rfc3339(seconds)} lies after the cluster time ${rfc3339(now.t)}`)
  }
  return new Timestamp({ t: seconds, i: 0 })
}
