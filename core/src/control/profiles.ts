import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { invalidConfig, resolveSchema } from '../config/check.js'
import type { LifecycleConfig, StorageConfig } from '../config/document.js'
import { schemaFaults } from '../config/faults.js'
import { LIFECYCLE_SCHEMA } from '../config/schema.js'
import { childSchema, toWire } from '../config/values.js'
import { PbmError } from '../errors.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { BackupDocument, BackupStore } from './backup-document.js'
import { configCollection, requireConfig, toConfig } from './config.js'

/**
 * Another storage beside the main one: a document of its own in `admin.pbmConfig`, with `profile: true` and a name
 * (PBM: control-plane.md §7). All but the storage comes from the main configuration.
 */
export interface Profile {
  readonly name: string
  readonly storage: StorageConfig
  /** What `pbm cleanup --lifecycle --profile` keeps. Unlike the rest, not taken from the main configuration. */
  readonly lifecycle?: LifecycleConfig | undefined
}

/** Stands for the main storage wherever a profile is named. */
export const MAIN_PROFILE = 'main'

/** By name. */
export async function listProfiles(leader: MongoClient): Promise<Profile[]> {
  const found = await configCollection(leader)
    .find({ profile: true }, { projection: { _id: 0 }, sort: { name: 1 } })
    .toArray()
  return found.map(toProfile)
}

export async function findProfile(leader: MongoClient, name: string): Promise<Profile | undefined> {
  const found = await configCollection(leader).findOne({ profile: true, name }, { projection: { _id: 0 } })
  return found === null ? undefined : toProfile(found)
}

/** As {@link findProfile}; throws PROFILE_UNKNOWN. */
export async function requireProfile(leader: MongoClient, name: string): Promise<Profile> {
  const profile = await findProfile(leader, name)
  if (profile !== undefined) return profile
  throw new PbmError('PROFILE_UNKNOWN', `there is no profile '${name}'`, {
    hint: `See pbm profile list, or make it: pbm profile add ${name} FILE`,
  })
}

/** The storage of a profile; '', `main` and undefined are the main one. Throws PROFILE_UNKNOWN and CONFIG_MISSING. */
export async function requireStorage(leader: MongoClient, profile: string | undefined): Promise<StorageConfig> {
  if (isMain(profile)) return (await requireConfig(leader)).storage
  return (await requireProfile(leader, profile)).storage
}

/**
 * The rules of a profile, or of the main storage; none where they were never set. Throws as {@link requireStorage}, and
 * CONFIG_INVALID: others may have written them.
 */
export async function lifecycleOf(leader: MongoClient, profile: string | undefined): Promise<LifecycleConfig> {
  const { lifecycle = {} } = isMain(profile) ? await requireConfig(leader) : await requireProfile(leader, profile)
  const faults = schemaFaults(lifecycle, LIFECYCLE_SCHEMA, ['lifecycle']).filter(({ unknownKey }) => !unknownKey)
  if (faults.length > 0) throw invalidConfig(faults)
  return lifecycle
}

export function isMain(profile: string | undefined): profile is undefined | '' | 'main' {
  return profile === undefined || profile === '' || profile === MAIN_PROFILE
}

/**
 * Where a backup lies, as the configuration says now: credentials change. Where its profile is gone, as its own record
 * says. Throws CONFIG_MISSING for one on the main storage.
 */
export async function storageOfBackup(leader: MongoClient, { store }: Pick<BackupDocument, 'store'>) {
  const profile = profileOf({ store })
  if (profile === undefined) return await requireStorage(leader, undefined)
  const known = await findProfile(leader, profile)
  const { name: _, profile: __, ...recorded } = store
  return known?.storage ?? recorded
}

/** The profile whose storage holds the backup; undefined for the main storage. */
export function profileOf({ store }: Pick<BackupDocument, 'store'>): string | undefined {
  return store.profile === true ? (store.name ?? '') : undefined
}

/** What a backup's record says of its storage. */
export function backupStoreOf(storage: StorageConfig, profile: string | undefined): BackupStore {
  return isMain(profile) ? { ...storage } : { name: profile, profile: true, ...storage }
}

/** As {@link backupStoreOf}, for a record that must be made even where the configuration or the profile is not there. */
export async function knownBackupStore(leader: MongoClient, profile: string | undefined): Promise<BackupStore> {
  return backupStoreOf(await requireStorage(leader, profile).catch(() => ({ type: '' })), profile)
}

/** Replaces the profile of that name. PBM leaves the epoch of a profile at 0; so is it here. */
export async function saveProfile(
  leader: MongoClient,
  { name, storage, lifecycle }: Profile,
  host: PluginHost,
): Promise<void> {
  const document: Document = {
    name,
    profile: true,
    storage: await storageToWire(storage, host),
    ...(lifecycle === undefined ? {} : { lifecycle }),
    epoch: new Timestamp({ t: 0, i: 0 }),
  }
  await configCollection(leader).replaceOne({ profile: true, name }, document, { upsert: true })
}

/** Whether there was one. */
export async function removeProfile(leader: MongoClient, name: string): Promise<boolean> {
  return (await configCollection(leader).deleteOne({ profile: true, name })).deletedCount > 0
}

/** The storage with the BSON types that PBM's decoder asks for. */
export async function storageToWire(storage: StorageConfig, host: PluginHost): Promise<Record<string, unknown>> {
  const { schema } = await resolveSchema(storage.type, host, undefined, Object.keys(storage))
  return toWire(storage, childSchema(schema, 'storage')) as Record<string, unknown>
}

function toProfile(found: Document): Profile {
  const { name, storage, lifecycle } = toConfig(found) as unknown as Profile
  return { name, storage, ...(lifecycle === undefined ? {} : { lifecycle }) }
}
