import { sameStorage } from '../config/same-storage.js'
import { listBackups } from '../control/backups.js'
import {
  type ConfiguredStorage,
  forgetIdentity,
  rememberedIdentity,
  rememberFirst,
  rememberIdentity,
} from '../control/storage-memory.js'
import { PbmError } from '../errors.js'
import { hasCode } from '../plugin/errors.js'
import type { CallOptions, ObjectStore } from '../plugin/storage.js'
import { backupMetadataName } from '../store/layout/names.js'
import { ensureInitObject, probeStorage } from './init-object.js'
import { ensureIdentity, lookForIdentity, readIdentity, writeIdentity } from './storage-identity.js'

export interface SeenStorage {
  /** What the storage calls itself; undefined where nothing of ours was ever written there. */
  readonly id: string | undefined
  /** Why it is not the storage that the cluster has used; undefined where it is, or none was used yet. */
  readonly fault: PbmError | undefined
}

/**
 * Whether the open storage is the one that the cluster has used. Where a share is not mounted, there is an empty folder, which
 * can't be told from a new storage by itself, and where all members see one, they agree.
 *
 * An identity that somebody has deleted, such as a bucket's rule for old objects, is written again: the newest backup in the
 * list tells the storage as well. Nothing else is written. Rejects with `STORAGE_PROBE` where it can't be looked at.
 */
export async function seeStorage(
  store: ObjectStore,
  configured: ConfiguredStorage,
  options: CallOptions = {},
): Promise<SeenStorage> {
  // One that keeps nothing has no identity either, and nothing to lose.
  if (store.capabilities.keepsNothing === true) return { id: undefined, fault: undefined }
  const [id, used] = await Promise.all([lookForIdentity(store, options), rememberedIdentity(configured)])
  if (used === undefined) {
    const isBlank = id === undefined && (await probeStorage(store, options)) === 'new'
    const listed = isBlank ? await newestBackup(configured) : undefined
    // A copy may lack just the objects whose names begin with a dot.
    if (listed === undefined || (await has(store, backupMetadataName(listed), options))) return { id, fault: undefined }
    return { id, fault: changed(`nothing was ever written to it, and backup ${listed} is to be there`, configured) }
  }
  if (id === used) return { id, fault: undefined }
  if (id !== undefined) return { id, fault: changed(`it is storage ${id}, and was ${used}`, configured) }
  const listed = await newestBackup(configured)
  if (listed !== undefined && (await has(store, backupMetadataName(listed), options))) {
    await writeIdentity(store, used, options)
    return { id: used, fault: undefined }
  }
  return { id, fault: changed(`it has no identity, and was ${used}`, configured) }
}

/** As {@link seeStorage}; throws `STORAGE_CHANGED` where it is another one. */
export async function requireKnownStorage(
  store: ObjectStore,
  configured: ConfiguredStorage,
  options: CallOptions = {},
): Promise<void> {
  const { fault } = await seeStorage(store, configured, options)
  if (fault !== undefined) throw fault
}

/** Before the first object of an operation is written: a storage that was never used becomes the cluster's. */
export async function beginUsing(
  store: ObjectStore,
  configured: ConfiguredStorage,
  options: CallOptions = {},
): Promise<void> {
  await requireKnownStorage(store, configured, options)
  await ensureInitObject(store, options)
  if (store.capabilities.keepsNothing === true) return
  await rememberFirst(configured, await ensureIdentity(store, options))
  await requireKnownStorage(store, configured, options)
}

/** As somebody has asked: from now on this is the cluster's storage, whichever was before. Nothing is written there. */
export async function acceptStorage(
  store: ObjectStore,
  configured: ConfiguredStorage,
  options: CallOptions = {},
): Promise<void> {
  const id = await readIdentity(store, options)
  await (id === undefined ? forgetIdentity(configured.leader, configured.profile) : rememberIdentity(configured, id))
}

/** The newest good backup that the list has on just this storage. */
async function newestBackup({ leader, host, storage, profile }: ConfiguredStorage): Promise<string | undefined> {
  const [newest] = await listBackups(leader, { profile: profile ?? null, status: 'done', limit: 1 })
  if (newest === undefined) return undefined
  // Between a change of the storage and the resync that follows it, the list is still that of the storage before.
  return (await sameStorage(newest.store, storage, host)) ? newest.name : undefined
}

async function has(store: ObjectStore, name: string, options: CallOptions): Promise<boolean> {
  try {
    await store.stat(name, options)
    return true
  } catch (error) {
    if (hasCode(error, 'STORAGE_NOT_FOUND') || hasCode(error, 'STORAGE_EMPTY')) return false
    throw error
  }
}

function changed(what: string, { profile }: ConfiguredStorage): PbmError {
  const accept = profile === undefined ? 'pbm config --force-resync' : `pbm profile sync ${profile}`
  const whose = profile === undefined ? 'the storage' : `the storage of profile ${profile}`
  return new PbmError('STORAGE_CHANGED', `${whose} is not the one that this cluster has used: ${what}`, {
    hint: `Is the share mounted on this host? If the storage was emptied or replaced on purpose: ${accept}`,
  })
}
