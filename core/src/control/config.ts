import type { Document, MongoClient, Timestamp } from 'mongodb'
import { resolveSchema } from '../config/check.js'
import type { Config } from '../config/document.js'
import { isRecord, toWire, withoutNulls } from '../config/values.js'
import { PbmError } from '../errors.js'
import { clusterTime, timeOfSession } from '../mongo/cluster-time.js'
import { CONFIG, CONTROL_DATABASE } from '../mongo/control-names.js'
import type { PluginHost } from '../plugin-host/host.js'
import { forgetSuspension } from './pitr.js'

/** Matches the main document and no profile; PBM leaves the field out (PBM: control-plane.md §1.2). */
export const MAIN = { profile: null } as const

export function configCollection(leader: MongoClient) {
  return leader.db(CONTROL_DATABASE).collection<Document>(CONFIG)
}

/** The main configuration; `undefined` when none was ever given. Keys this version does not know are kept. */
export async function readConfig(leader: MongoClient): Promise<Config | undefined> {
  const document = await configCollection(leader).findOne(MAIN, { projection: { _id: 0 } })
  return document === null ? undefined : toConfig(document)
}

/** As {@link readConfig}, with the cluster time that the answer carries. */
export async function readConfigAndTime(
  leader: MongoClient,
): Promise<{ readonly config: Config | undefined; readonly now: Timestamp }> {
  return leader.withSession(async (session) => {
    const found = await configCollection(leader).findOne(MAIN, { session, projection: { _id: 0 } })
    const now = await timeOfSession(leader, session)
    return { config: found === null ? undefined : toConfig(found), now }
  })
}

/** As {@link readConfig}; throws CONFIG_MISSING when there is none. */
export async function requireConfig(leader: MongoClient): Promise<Config> {
  const config = await readConfig(leader)
  if (config === undefined) throw configMissing()
  return config
}

export function configMissing(): PbmError {
  return new PbmError('CONFIG_MISSING', 'no configuration is set', {
    hint: 'set one with: pbm config --file pbm-config.yaml',
  })
}

export interface ConfigChange {
  readonly config: Config
  /** What it replaced. A storage that is not the same (`sameStorage`) needs a resync. */
  readonly previous: Config | undefined
}

/** Replaces the main document, with a new epoch. Profiles stay, and what stands in documents of its own. */
export async function writeConfig(leader: MongoClient, config: Config, host: PluginHost): Promise<ConfigChange> {
  const { schema } = await resolveSchema(config.storage.type, host, config.encryption, Object.keys(config.storage))
  const epoch = await clusterTime(leader)
  const { epoch: _, schedules: __, notifications: ___, ...settings } = config
  const replacement = { ...(toWire(settings, schema) as Document), epoch }
  const previous = await configCollection(leader).findOneAndReplace(MAIN, replacement, {
    upsert: true,
    returnDocument: 'before',
  })
  await forgetSuspension(leader)
  return { config: { ...config, epoch }, previous: previous === null ? undefined : toConfig(previous) }
}

/** The epoch alone: what agents compare to notice a change. */
export async function readEpoch(leader: MongoClient): Promise<Timestamp | undefined> {
  const document = await configCollection(leader).findOne(MAIN, { projection: { _id: 0, epoch: 1 } })
  return document?.epoch
}

/** Moves the epoch to now, so that agents look anew: after a resync and at a restore (PBM: control-plane.md §7). */
export async function resetEpoch(leader: MongoClient): Promise<Timestamp> {
  const epoch = await clusterTime(leader)
  await configCollection(leader).updateOne(MAIN, { $set: { epoch } })
  return epoch
}

/** Switches point-in-time recovery and moves the epoch. Throws CONFIG_MISSING. */
export async function setPitrEnabled(leader: MongoClient, enabled: boolean): Promise<Timestamp> {
  const epoch = await clusterTime(leader)
  // $mergeObjects, for a document in which `pitr` is missing or null.
  const change = { pitr: { $mergeObjects: ['$pitr', { enabled }] }, epoch }
  const { matchedCount } = await configCollection(leader).updateOne(MAIN, [{ $set: change }])
  if (matchedCount === 0) throw configMissing()
  return epoch
}

/**
 * A stored document as a {@link Config}. PBM writes null, 0 and '' for much that was never set; all of them mean the
 * default (PBM: control-plane.md §1.2, §7), so the keys are left out. Only a compression level of 0 is a value.
 */
export function toConfig(document: Document): Config {
  const { _id, ...fields } = withoutNulls(document) as Document
  for (const section of ['pitr', 'backup', 'restore']) {
    if (!isRecord(fields[section])) continue
    const told = Object.entries(fields[section]).filter(
      ([key, value]) => key === 'compressionLevel' || (value !== 0 && value !== ''),
    )
    fields[section] = Object.fromEntries(told)
  }
  return fields as Config
}
