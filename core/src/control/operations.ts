import { type MongoClient, ObjectId } from 'mongodb'
import { CONTROL_DATABASE, OPERATIONS } from '../mongo/control-names.js'
import { headerDocument, type LockHeader } from './locks.js'
import type { PlanNote } from './restore-plan.js'
import { isDuplicateKey } from './wire.js'

/**
 * Notes that an operation begins on a replica set. False when it did before: by another node, or by this one before a
 * restart. The unique index on (opid, replset) is what makes each operation run once (PBM: control-plane.md §3).
 */
export async function recordOperation(leader: MongoClient, header: LockHeader): Promise<boolean> {
  const operations = leader.db(CONTROL_DATABASE).collection(OPERATIONS)
  const _id = new ObjectId()
  try {
    await operations.insertOne({ _id, ...headerDocument(header) })
    return true
  } catch (error) {
    if (!isDuplicateKey(error)) throw error
    // A retry of our own insert, whose first answer was lost, meets itself.
    return (await operations.findOne({ opid: header.opid, replset: header.replset }))?._id.equals(_id) === true
  }
}

/** How far a key rotation is, over all storages; counts of key objects. */
export interface RotationFigures {
  /** Found so far: a storage that was not looked at yet adds to it. */
  readonly keys: number
  /** Sealed with the new key now; in a dry run, those that would be. */
  readonly rewrapped: number
  /** Had the new key before. */
  readonly current: number
  /** No key at hand opens them. */
  readonly unreadable: number
}

/** What a key rotation notes in its document in `pbmOpLog`, of which PBM reads only the header. */
export interface RotationRecord extends RotationFigures {
  /** The key that they are sealed with now. */
  readonly keyId: string
  readonly dryRun: boolean
  /** `rs/host:port` of members without a live agent, where nobody could be asked which key is there. */
  readonly silent: readonly string[]
  /** False while it runs. It never becomes true for one that failed: the log says why. */
  readonly done: boolean
  /** Milliseconds since the epoch by the agent's clock. */
  readonly startedAt: number
  readonly updatedAt: number
}

export async function noteRotation(
  leader: MongoClient,
  { opid, replset }: Pick<LockHeader, 'opid' | 'replset'>,
  rotation: RotationRecord,
): Promise<void> {
  await leader.db(CONTROL_DATABASE).collection(OPERATIONS).updateOne({ opid, replset }, { $set: { rotation } })
}

/** Undefined until the agent has noted something. */
export async function findRotation(
  leader: MongoClient,
  opid: string,
  replset: string,
): Promise<RotationRecord | undefined> {
  const found = await leader.db(CONTROL_DATABASE).collection(OPERATIONS).findOne({ opid, replset })
  return found?.rotation as RotationRecord | undefined
}

export async function notePlan(
  leader: MongoClient,
  { opid, replset }: Pick<LockHeader, 'opid' | 'replset'>,
  planned: PlanNote,
): Promise<void> {
  const $set = Object.fromEntries(Object.entries(planned).map(([key, value]) => [`planned.${key}`, value]))
  await leader.db(CONTROL_DATABASE).collection(OPERATIONS).updateOne({ opid, replset }, { $set })
}

/** By replica set, of those that have begun. */
export async function findPlans(leader: MongoClient, opid: string): Promise<ReadonlyMap<string, PlanNote>> {
  const found = await leader.db(CONTROL_DATABASE).collection(OPERATIONS).find({ opid }).toArray()
  return new Map(found.map(({ replset, planned }) => [String(replset), (planned ?? {}) as PlanNote]))
}

/** Whether the operation has begun on the replica set. */
export async function hasOperation(leader: MongoClient, opid: string, replset: string): Promise<boolean> {
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(OPERATIONS)
    .findOne({ opid, replset }, { projection: { _id: 1 } })
  return found !== null
}
