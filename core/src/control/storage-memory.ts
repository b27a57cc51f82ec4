import type { Collection, MongoClient } from 'mongodb'
import type { StorageConfig } from '../config/document.js'
import { storageFingerprint } from '../config/same-storage.js'
import type { PluginHost } from '../plugin-host/host.js'
import { configCollection } from './config.js'

/** A storage of the configuration: the main one, or that of a profile. */
export interface ConfiguredStorage {
  readonly leader: MongoClient
  readonly host: PluginHost
  readonly storage: StorageConfig
  /** Left out for the main storage. */
  readonly profile?: string | undefined
}

/**
 * Ours, in `pbmConfig`: what the storage of the configuration called itself when it was used last. Neither the main
 * document nor a profile, by what stands in `profile`, so PBM never finds it, and a new configuration leaves it alone. It
 * is worth nothing once the configuration names another place.
 */
interface StorageMemory {
  /** `pbmkit.storage`, or `pbmkit.storage.PROFILE`. */
  _id: string
  profile: 'pbmkit'
  /** Of the place that the configuration named: a hash, for options may hold secrets. */
  at: string
  /** What the storage calls itself. */
  id: string
}

const memories = (leader: MongoClient) => configCollection(leader) as unknown as Collection<StorageMemory>

/** What the storage called itself when it was used last; undefined where it was not used yet, or by PBM only. */
export async function rememberedIdentity(configured: ConfiguredStorage): Promise<string | undefined> {
  const { leader, host, storage, profile } = configured
  const found = await memories(leader).findOne({ _id: idOf(profile) })
  return found?.at === (await storageFingerprint(storage, host)) ? found.id : undefined
}

/** Whether the place was used before, whatever the configuration calls it: the main storage, or a profile. */
export async function wasUsed(leader: MongoClient, storage: StorageConfig, host: PluginHost): Promise<boolean> {
  const at = await storageFingerprint(storage, host)
  return (await memories(leader).findOne({ profile: 'pbmkit', at })) !== null
}

/** From now on it is this one, whatever it was before: somebody has asked for it. */
export async function rememberIdentity(configured: ConfiguredStorage, id: string): Promise<void> {
  const { leader, host, storage, profile } = configured
  const at = await storageFingerprint(storage, host)
  await memories(leader).replaceOne({ _id: idOf(profile) }, { profile: 'pbmkit', at, id }, { upsert: true })
}

/** Where none is remembered for that place of the configuration. Returns the one that is remembered then. */
export async function rememberFirst(configured: ConfiguredStorage, id: string): Promise<string> {
  const { leader, host, storage, profile } = configured
  const at = await storageFingerprint(storage, host)
  const literal = {
    _id: { $literal: idOf(profile) },
    profile: { $literal: 'pbmkit' },
    at: { $literal: at },
    id: { $literal: id },
  }
  const kept = await memories(leader).findOneAndUpdate(
    { _id: idOf(profile) },
    [{ $replaceWith: { $cond: [{ $eq: ['$at', { $literal: at }] }, '$$ROOT', literal] } }],
    { upsert: true, returnDocument: 'after' },
  )
  return kept?.id ?? id
}

/** The place that is seen next is taken for the storage. */
export async function forgetIdentity(leader: MongoClient, profile?: string): Promise<void> {
  await memories(leader).deleteOne({ _id: idOf(profile) })
}

function idOf(profile: string | undefined): string {
  return profile === undefined ? 'pbmkit.storage' : `pbmkit.storage.${profile}`
}
