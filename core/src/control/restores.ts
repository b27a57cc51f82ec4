import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { clusterTime } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, RESTORES } from '../mongo/control-names.js'
import type { Condition } from './backup-document.js'
import { findSettled } from './find-settled.js'
import type { MadeNamespace, RestoreDocument, RestoreReplset, RestoreStatus } from './restore-document.js'
import { hasReached, isTerminal, RESTORE_REPLSET_STATES, RESTORE_STATES } from './state-machine.js'
import { type Transition, type TransitionOptions, transition } from './transition.js'
import { isDocument, readList, readNumber, toWire } from './wire.js'

const restores = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(RESTORES)

/** Stores a new restore with its first condition. False when one of that name is there: nothing is changed then. */
export async function insertRestore(leader: MongoClient, restore: RestoreDocument): Promise<boolean> {
  const first = { timestamp: restore.start_ts, status: restore.status }
  const document = toWire({
    ...restore,
    last_transition_ts: restore.start_ts,
    conditions: [...restore.conditions, first],
  })
  // The collection has no unique index (PBM: control-plane.md §1.3), so the name itself decides.
  const inserted = await restores(leader).updateOne(
    { name: restore.name },
    { $setOnInsert: document },
    { upsert: true },
  )
  return inserted.upsertedCount === 1
}

/** Takes what a storage tells of a physical restore; one of another type that is called so stays. */
export async function putPhysicalRestore(leader: MongoClient, restore: RestoreDocument): Promise<void> {
  const known = await restores(leader).findOne({ name: restore.name }, { projection: { type: 1 } })
  if (known === null) await restores(leader).insertOne(toWire(restore))
  else if (known.type !== 'logical') await restores(leader).replaceOne({ _id: known._id }, toWire(restore))
}

export async function findRestore(leader: MongoClient, name: string): Promise<RestoreDocument | undefined> {
  return readRestore(await findSettled(restores(leader), { name }))
}

export async function findRestoreByOpid(leader: MongoClient, opid: string): Promise<RestoreDocument | undefined> {
  return readRestore(await findSettled(restores(leader), { opid }))
}

/** Whether any replica set may have begun to change its data. */
export function hasChangedData({
  status,
  conditions,
  type,
}: Pick<RestoreDocument, 'status'> & {
  readonly conditions: readonly Condition[]
  readonly type?: RestoreDocument['type']
}): boolean {
  // The record itself is in the data: where another one can be read, the old data is there.
  if (type === 'physical') return status === 'done' || status === 'partlyDone'
  const passed = [status, ...conditions.map((condition) => condition.status as RestoreStatus)]
  return passed.some((state) => state === 'partlyDone' || hasReached(RESTORE_STATES, state, 'cleanupCluster'))
}

/** Whether the last restore that changed data, but for the one named, did not end well: what it made lies about. */
export async function wasInterrupted(leader: MongoClient, name: string): Promise<boolean> {
  const [last] = (await listRestores(leader)).filter((restore) => restore.name !== name && hasChangedData(restore))
  return last !== undefined && last.status !== 'done'
}

/** Newest first; of one second, the one whose record was made last. */
export async function listRestores(
  leader: MongoClient,
  query: { status?: RestoreStatus | RestoreStatus[]; limit?: number } = {},
): Promise<RestoreDocument[]> {
  const filter: Document = query.status === undefined ? {} : { status: { $in: [query.status].flat() } }
  const found = await restores(leader)
    .find(filter, { sort: { start_ts: -1, _id: -1 }, limit: query.limit ?? 0 })
    .toArray()
  return found.flatMap((document) => readRestore(document) ?? [])
}

/** Those whose last change was to end, at this Unix second or later. */
export async function listEndedRestores(leader: MongoClient, since: number): Promise<RestoreDocument[]> {
  const found = await restores(leader)
    .find({ last_transition_ts: { $gte: since }, status: { $in: [...RESTORE_STATES.terminal] } })
    .toArray()
  return found.flatMap((document) => readRestore(document) ?? [])
}

/** Those whose records say that they have switched something off, which was not settled yet. */
export async function listSuspendingRestores(leader: MongoClient): Promise<RestoreDocument[]> {
  const found = await restores(leader)
    .find({ 'suspended.0': { $exists: true } })
    .toArray()
  return found.flatMap((document) => readRestore(document) ?? [])
}

/** Those for which the mongod `node` deletes no expired documents. */
export async function listRestoresWithoutTtl(leader: MongoClient, node: string): Promise<RestoreDocument[]> {
  const found = await restores(leader)
    .find({ replsets: { $elemMatch: { node, ttl_monitor_off: true } } })
    .toArray()
  return found.flatMap((document) => readRestore(document) ?? [])
}

/** See {@link transition} for what it throws. Its last heartbeat tells when it ended, whatever the clocks say. */
export async function setRestoreStatus(
  leader: MongoClient,
  name: string,
  status: RestoreStatus,
  options: TransitionOptions = {},
): Promise<Transition<RestoreStatus>> {
  const target = { leader, collection: RESTORES, machine: RESTORE_STATES, what: `restore ${name}`, filter: { name } }
  if (isTerminal(RESTORE_STATES, status) && options.ifHeartbeat === undefined) {
    const hb = await clusterTime(leader)
    await restores(leader).updateOne({ name, status: { $nin: [...RESTORE_STATES.terminal] } }, { $set: { hb } })
  }
  return transition(target, status, options)
}

/** Adds a replica set's part with its first condition; once, however often it is called. */
export async function addRestoreReplset(leader: MongoClient, name: string, replset: RestoreReplset): Promise<boolean> {
  const first = { timestamp: replset.start_ts, status: replset.status }
  const entry = toWire({
    ...replset,
    last_transition_ts: replset.start_ts,
    conditions: [...replset.conditions, first],
  })
  const added = await restores(leader).updateOne({ name, 'replsets.name': { $ne: replset.name } }, {
    $push: { replsets: entry },
  } as Document)
  return added.matchedCount === 1
}

/** See {@link transition} for what it throws. */
export async function setRestoreReplsetStatus(
  leader: MongoClient,
  name: string,
  replset: string,
  status: RestoreStatus,
  options: TransitionOptions = {},
): Promise<Transition<RestoreStatus>> {
  const what = `restore ${name}`
  const target = { leader, collection: RESTORES, machine: RESTORE_REPLSET_STATES, what, filter: { name }, replset }
  return transition(target, status, options)
}

/** Sets fields of one replica set's part. False when there is no such part. */
export async function setRestoreReplsetFields(
  leader: MongoClient,
  name: string,
  replset: string,
  fields: Partial<Omit<RestoreReplset, 'name' | 'status' | 'conditions' | 'error'>>,
): Promise<boolean> {
  const set = Object.fromEntries(Object.entries(toWire(fields)).map(([key, value]) => [`replsets.$.${key}`, value]))
  const updated = await restores(leader).updateOne({ name, 'replsets.name': replset }, { $set: set })
  return updated.matchedCount === 1
}

/** Removes the lists of what is chosen, which may be long. */
export async function clearChosen(leader: MongoClient, name: string): Promise<void> {
  await restores(leader).updateOne({ name }, { $unset: { 'replsets.$[].chosen': '' } })
}

/** Restores that failed and left something beside the live ones. */
export async function listUnfinishedBeside(leader: MongoClient): Promise<RestoreDocument[]> {
  const found = await restores(leader)
    .find({ status: 'error', 'replsets.made.0': { $exists: true } })
    .toArray()
  return found.flatMap((document) => readRestore(document) ?? [])
}

/** All of what was made is there, also what restores before this one had not finished. */
export async function clearMade(leader: MongoClient, name: string): Promise<void> {
  await restores(leader).updateOne({ name }, { $unset: { 'replsets.$[].made': '' } })
  const [record, unfinished] = await Promise.all([findRestore(leader, name), listUnfinishedBeside(leader)])
  const ended = record?.replsets.flatMap(({ merged = [] }) => merged.map(({ ns }) => ns)) ?? []
  const isLeft = ({ ns, stays }: MadeNamespace) => stays !== true || !ended.includes(ns)
  for (const { name: other, replsets } of unfinished) {
    for (const { name: rs, made = [] } of replsets)
      if (!made.every(isLeft)) await setRestoreReplsetFields(leader, other, rs, { made: made.filter(isLeft) })
  }
}

/** The UUIDs (32 hex digits) of what failed restores have made at the place of the live ones, by namespace. */
export async function unfinishedInPlace(leader: MongoClient): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const made = (await listUnfinishedBeside(leader)).flatMap(({ replsets }) =>
    replsets.flatMap((part) => part.made ?? []),
  )
  const staying = Map.groupBy(
    made.filter(({ stays }) => stays === true),
    ({ ns }) => ns,
  )
  return new Map([...staying].map(([ns, all]) => [ns, new Set(all.map(({ id }) => id))]))
}

/** Sets fields of the restore as a whole. False when it is gone. */
export async function setRestoreFields(
  leader: MongoClient,
  name: string,
  fields: Partial<Omit<RestoreDocument, 'name' | 'opid' | 'status' | 'conditions' | 'replsets' | 'error'>>,
): Promise<boolean> {
  const updated = await restores(leader).updateOne({ name }, { $set: toWire(fields) })
  return updated.matchedCount === 1
}

/** Moves the heartbeat on to the cluster time. False when the document is gone: the restore must stop. */
export async function beatRestore(leader: MongoClient, name: string): Promise<boolean> {
  const hb = await clusterTime(leader)
  const updated = await restores(leader).updateOne({ name }, { $set: { hb } })
  return updated.matchedCount === 1
}

const NEVER: Timestamp = new Timestamp({ t: 0, i: 0 })

/** A document of any PBM version as this project knows it. */
function readRestore(found: Document | null): RestoreDocument | undefined {
  if (found === null) return undefined
  const { _id, ...raw } = found
  return {
    ...(raw as RestoreDocument),
    type: (raw.type as RestoreDocument['type'] | '' | undefined) || 'logical',
    backup: (raw.backup as string | null | undefined) ?? '',
    bcp_chain: (raw.bcp_chain as string[] | null | undefined) ?? null,
    start_pitr: readNumber(raw.start_pitr),
    pitr: readNumber(raw.pitr),
    start_ts: readNumber(raw.start_ts),
    last_transition_ts: readNumber(raw.last_transition_ts),
    hb: (raw.hb as Timestamp | undefined) ?? NEVER,
    conditions: readList(raw.conditions as RestoreDocument['conditions'] | null).filter(isDocument),
    replsets: readList(raw.replsets as RestoreReplset[] | null)
      .filter(isDocument)
      .map((replset) => ({
        ...replset,
        start_ts: readNumber(replset.start_ts),
        last_transition_ts: readNumber(replset.last_transition_ts),
        committed_txn: replset.committed_txn ?? null,
        partial_txn: replset.partial_txn ?? null,
        conditions: readList(replset.conditions).filter(isDocument),
      })),
  }
}
