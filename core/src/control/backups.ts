import { type Document, Long, type MongoClient, Timestamp } from 'mongodb'
import { clusterTime } from '../mongo/cluster-time.js'
import { BACKUPS, CONTROL_DATABASE } from '../mongo/control-names.js'
import type { BackupDocument, BackupReplset, BackupStatus, Nomination, Progress } from './backup-document.js'
import { isOnlyRecorded } from './backup-history.js'
import { type LastDrill, lastDrill, readDrills } from './drill-document.js'
import { findSettled } from './find-settled.js'
import { BACKUP_REPLSET_STATES, BACKUP_STATES } from './state-machine.js'
import { type Transition, type TransitionOptions, transition } from './transition.js'
import { isDocument, isRefusedDocument, readList, readNumber, toWire } from './wire.js'

/** What both write timestamps hold until they are known (PBM: control-plane.md §1.2). */
export const UNSET_TIMESTAMP: Timestamp = new Timestamp({ t: 1, i: 1 })

/** Whether a write timestamp of a backup has been set. */
export function isTimestampSet(timestamp: Timestamp | undefined): boolean {
  return timestamp !== undefined && timestamp.getHighBitsUnsigned() > 1
}

const backups = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(BACKUPS)

/** Stores a backup that begins here, with its first condition. Rejects with the driver's duplicate-key error for a name in use. */
export async function insertBackup(leader: MongoClient, backup: BackupDocument): Promise<void> {
  const first = { timestamp: backup.start_ts, status: backup.status }
  await backups(leader).insertOne(
    toWire({
      ...backup,
      last_transition_ts: backup.start_ts,
      conditions: [...backup.conditions, first],
    }),
  )
}

export async function findBackup(leader: MongoClient, name: string): Promise<BackupDocument | undefined> {
  return readBackup(await findSettled(backups(leader), { name }))
}

export async function findBackupByOpid(leader: MongoClient, opid: string): Promise<BackupDocument | undefined> {
  return readBackup(await findSettled(backups(leader), { opid }))
}

export interface BackupQuery {
  /** Of this profile; `null` for the main storage; left out for all. */
  profile?: string | null
  status?: BackupStatus | BackupStatus[]
  /** Of everything, not of chosen namespaces. */
  whole?: true
  /** At most so many. */
  limit?: number
}

/** Newest first. */
export async function listBackups(leader: MongoClient, query: BackupQuery = {}): Promise<BackupDocument[]> {
  const filter: Document = {}
  if (query.profile === null) filter['store.profile'] = null
  if (typeof query.profile === 'string') filter['store.name'] = query.profile
  if (query.status !== undefined) filter.status = { $in: [query.status].flat() }
  if (query.whole === true) filter.nss = { $in: [null, []] }
  const found = await backups(leader)
    .find(filter, { sort: { start_ts: -1 }, limit: query.limit ?? 0 })
    .toArray()
  return found.flatMap((document) => readBackup(document) ?? [])
}

/** A verification that found damage, as `pbm verify` notes it in the record of a backup. */
export interface FoundDamage {
  readonly opid: string
  /** Unix seconds. */
  readonly at: number
}

export interface NewsOfBackups {
  readonly ended: BackupDocument[]
  readonly damaged: { readonly backup: BackupDocument; readonly damage: FoundDamage }[]
  readonly drilled: { readonly backup: BackupDocument; readonly drill: LastDrill }[]
}

/** Those that ended, in which damage was found, or that were drilled, at this Unix second or later. */
export async function listNewsOfBackups(leader: MongoClient, since: number): Promise<NewsOfBackups> {
  const ended: Document = { last_transition_ts: { $gte: since }, status: { $in: [...BACKUP_STATES.terminal] } }
  const damaged: Document = { 'verification.at': { $gte: since }, 'verification.result': 'damaged' }
  const found = await backups(leader)
    .find({ $or: [ended, damaged, { 'drills.at': { $gte: since } }] })
    .toArray()
  const read = found.flatMap((document) => {
    const backup = readBackup(document)
    return backup === undefined ? [] : [{ backup, verification: document.verification as Document | undefined }]
  })
  return {
    ended: read.map(({ backup }) => backup).filter((one) => isEndedSince(one, since)),
    damaged: read.flatMap(({ backup, verification }) => {
      if (verification?.result !== 'damaged' || readNumber(verification.at) < since) return []
      return [{ backup, damage: { opid: String(verification.opid), at: readNumber(verification.at) } }]
    }),
    drilled: read.flatMap(({ backup }) => {
      const drill = lastDrill(readDrills(backup.drills), backup.replsets.length)
      return drill === undefined || drill.at < since ? [] : [{ backup, drill }]
    }),
  }
}

function isEndedSince({ status, last_transition_ts }: BackupDocument, since: number): boolean {
  return BACKUP_STATES.terminal.includes(status) && last_transition_ts >= since
}

/** Those that have stopped the balancer, which nobody has started again. */
export async function listBackupsWithoutBalancer(leader: MongoClient): Promise<BackupDocument[]> {
  const found = await backups(leader).find({ balancer_stopped: true }).toArray()
  return found.flatMap((document) => readBackup(document) ?? [])
}

/** See {@link transition} for what it throws. */
export async function setBackupStatus(
  leader: MongoClient,
  name: string,
  status: BackupStatus,
  options: TransitionOptions = {},
): Promise<Transition<BackupStatus>> {
  const target = { leader, collection: BACKUPS, machine: BACKUP_STATES, what: `backup ${name}`, filter: { name } }
  return transition(target, status, options)
}

/** Removes the record of a backup of which no replica set has begun its part; false where one has, or it is another's. */
export async function removeUnbegunBackup(leader: MongoClient, name: string, opid: string): Promise<boolean> {
  const removed = await backups(leader).deleteOne({
    name,
    opid,
    status: 'starting',
    replsets: { $size: 0 },
  } as Document)
  return removed.deletedCount === 1
}

/** Adds a replica set's part with its first condition; once, however often it is called. */
export async function addReplset(leader: MongoClient, name: string, replset: BackupReplset): Promise<boolean> {
  const first = { timestamp: replset.start_ts, status: replset.status }
  const entry = toWire({
    ...replset,
    last_transition_ts: replset.start_ts,
    conditions: [...replset.conditions, first],
  })
  // Not $addToSet as PBM: its set compares whole entries, so a second call would add a second part.
  const added = await backups(leader).updateOne({ name, 'replsets.name': { $ne: replset.name } }, {
    $push: { replsets: entry },
  } as Document)
  return added.matchedCount === 1
}

/** See {@link transition} for what it throws. */
export async function setReplsetStatus(
  leader: MongoClient,
  name: string,
  replset: string,
  status: BackupStatus,
  options: TransitionOptions = {},
): Promise<Transition<BackupStatus>> {
  const what = `backup ${name}`
  const target = { leader, collection: BACKUPS, machine: BACKUP_REPLSET_STATES, what, filter: { name }, replset }
  return transition(target, status, options)
}

/** Sets fields of one replica set's part, sizes and write timestamps say. False when there is no such part. */
export async function setReplsetFields(
  leader: MongoClient,
  name: string,
  replset: string,
  fields: Partial<Omit<BackupReplset, 'name' | 'status' | 'conditions' | 'error'>>,
): Promise<boolean> {
  const set = Object.fromEntries(Object.entries(toWire(fields)).map(([key, value]) => [`replsets.$.${key}`, value]))
  const updated = await backups(leader).updateOne({ name, 'replsets.name': replset }, { $set: set })
  return updated.matchedCount === 1
}

export async function setReplsetProgress(
  leader: MongoClient,
  name: string,
  replset: string,
  progress: Progress,
): Promise<boolean> {
  return setReplsetFields(leader, name, replset, { progress })
}

/** Sets fields of the backup as a whole. False when it is gone. */
export async function setBackupFields(
  leader: MongoClient,
  name: string,
  fields: Partial<Omit<BackupDocument, 'name' | 'opid' | 'status' | 'conditions' | 'replsets' | 'n' | 'error'>>,
): Promise<boolean> {
  const updated = await backups(leader).updateOne({ name }, { $set: toWire(fields) })
  return updated.matchedCount === 1
}

/** The cluster-wide consistency times of the backup. */
export async function setWriteTimestamps(
  leader: MongoClient,
  name: string,
  times: { first?: Timestamp; last?: Timestamp },
): Promise<boolean> {
  return setBackupFields(leader, name, {
    ...(times.first === undefined ? {} : { first_write_ts: times.first }),
    ...(times.last === undefined ? {} : { last_write_ts: times.last }),
  })
}

/** Adds a replica set's bytes to the sizes of the backup. */
export async function addBackupSize(
  leader: MongoClient,
  name: string,
  bytes: { size: number; uncompressed: number },
): Promise<void> {
  await backups(leader).updateOne(
    { name },
    { $inc: { size: Long.fromNumber(bytes.size), size_uncompressed: Long.fromNumber(bytes.uncompressed) } },
  )
}

/** Moves the heartbeat on to the cluster time. False when the document is gone: the backup must stop. */
export async function beatBackup(leader: MongoClient, name: string): Promise<boolean> {
  const hb = await clusterTime(leader)
  const updated = await backups(leader).updateOne({ name }, { $set: { hb } })
  return updated.matchedCount === 1
}

export async function deleteBackupDocument(leader: MongoClient, name: string): Promise<boolean> {
  return (await backups(leader).deleteOne({ name })).deletedCount === 1
}

/**
 * Replaces all backups of one storage (null: the main one) by what was found there. A backup under way is kept: it is not
 * on the storage yet. So is one that failed, was canceled or is half deleted: why is written nowhere else, and PBM, which
 * drops these records, leaves people to wonder. Names that another storage has are left alone. All that is found is there
 * before anything goes.
 *
 * @returns what no server takes as a document, and why; those keep the record they had.
 */
export async function replaceBackups(
  leader: MongoClient,
  found: readonly BackupDocument[],
  profile: string | null = null,
): Promise<{ readonly name: string; readonly error: unknown }[]> {
  const ended = endedOn(profile)
  const refused: { name: string; error: unknown }[] = []
  for (const backup of found) {
    try {
      const projection = { opid: 1, verification: 1, drills: 1 }
      const kept = await backups(leader).findOne({ name: backup.name }, { projection })
      // Written nowhere else.
      const { opid, verification, drills }: Document = kept ?? {}
      const tried = { ...(verification !== undefined && { verification }), ...(drills !== undefined && { drills }) }
      if (kept === null) await backups(leader).insertOne(toWire(backup))
      else
        await backups(leader).replaceOne(
          { ...ended, _id: kept._id },
          { ...toWire(backup), ...(opid === backup.opid && tried) },
        )
    } catch (error) {
      if (!isRefusedDocument(error)) throw error
      refused.push({ name: backup.name, error })
    }
  }
  const names = found.map(({ name }) => name)
  const missing = await backups(leader)
    .find({ ...ended, name: { $nin: names } })
    .toArray()
  const gone = missing.filter((document) => !isOnlyRecorded(readBackup(document) ?? { status: 'done', conditions: [] }))
  await backups(leader).deleteMany({ ...ended, _id: { $in: gone.map(({ _id }) => _id) } })
  return refused
}

/** Takes all backups of a profile that ended off the list, failed ones too: nobody can reach their storage any more. */
export async function forgetBackups(leader: MongoClient, profile: string): Promise<void> {
  await backups(leader).deleteMany(endedOn(profile))
}

/** Backups of one storage (null: the main one) that nobody works on. */
function endedOn(profile: string | null): Document {
  const mine: Document = profile === null ? { 'store.profile': null } : { 'store.profile': true, 'store.name': profile }
  return { ...mine, status: { $in: [...BACKUP_STATES.terminal] } }
}

/** Opens the nomination of a replica set; once, however often it is called. */
export async function openNomination(leader: MongoClient, name: string, rs: string): Promise<void> {
  await backups(leader).updateOne({ name, 'n.rs': { $ne: rs } }, { $push: { n: { rs, n: [], ack: '' } } } as Document)
}

export async function findNomination(
  leader: MongoClient,
  name: string,
  rs: string,
): Promise<{ opid: string; status: BackupStatus; nomination?: Nomination } | undefined> {
  const found = await findSettled(backups(leader), { name }, { projection: { opid: 1, status: 1, n: 1 } })
  if (found === null) return undefined
  const nomination = readList(found.n as Nomination[] | null).find((one) => one.rs === rs)
  const known = { opid: String(found.opid), status: found.status as BackupStatus }
  return nomination === undefined ? known : { ...known, nomination: { ...nomination, n: readList(nomination.n) } }
}

/** Replaces the nominees of a replica set that has no acknowledgment yet. False when it has one, or no nomination. */
export async function setNominees(leader: MongoClient, name: string, rs: string, nodes: string[]): Promise<boolean> {
  const updated = await backups(leader).updateOne(
    { name, n: { $elemMatch: { rs, ack: '' } } },
    { $set: { 'n.$.n': nodes } },
  )
  return updated.matchedCount === 1
}

/** The nominee says that it holds the lock. */
export async function acknowledgeNomination(
  leader: MongoClient,
  name: string,
  rs: string,
  node: string,
): Promise<boolean> {
  const updated = await backups(leader).updateOne({ name, 'n.rs': rs }, { $set: { 'n.$.ack': node } })
  return updated.matchedCount === 1
}

/** A document of any PBM version as this project knows it: null lists empty, an absent type logical. */
function readBackup(found: Document | null): BackupDocument | undefined {
  if (found === null) return undefined
  const { _id, ...raw } = found
  return {
    ...(raw as BackupDocument),
    type: (raw.type as BackupDocument['type'] | '' | undefined) || 'logical',
    replsets: readList(raw.replsets as BackupReplset[] | null)
      .filter(isDocument)
      .map((replset) => ({
        ...replset,
        size: readNumber(replset.size),
        size_uncompressed: readNumber(replset.size_uncompressed),
        start_ts: readNumber(replset.start_ts),
        last_transition_ts: readNumber(replset.last_transition_ts),
        first_write_ts: replset.first_write_ts ?? UNSET_TIMESTAMP,
        last_write_ts: replset.last_write_ts ?? UNSET_TIMESTAMP,
        conditions: readList(replset.conditions).filter(isDocument),
      })),
    size: readNumber(raw.size),
    size_uncompressed: readNumber(raw.size_uncompressed),
    start_ts: readNumber(raw.start_ts),
    last_transition_ts: readNumber(raw.last_transition_ts),
    first_write_ts: (raw.first_write_ts as Timestamp | undefined) ?? UNSET_TIMESTAMP,
    last_write_ts: (raw.last_write_ts as Timestamp | undefined) ?? UNSET_TIMESTAMP,
    hb: (raw.hb as Timestamp | undefined) ?? UNSET_TIMESTAMP,
    conditions: readList(raw.conditions as BackupDocument['conditions'] | null).filter(isDocument),
    n: readList(raw.n as Nomination[] | null),
  }
}
