import type { Document, MongoClient, ObjectId, Timestamp } from 'mongodb'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, LOCKS, SLICER_LOCKS } from '../mongo/control-names.js'
import type { Command } from './command-document.js'

/** Who holds a lock and what for; the heartbeat is kept beside it (PBM: control-plane.md §1.4). */
export interface LockHeader {
  type: Command['cmd'] | 'pitr'
  replset: string
  /** `host:port` of the holder's mongod. */
  node: string
  /** 24 hex digits; absent for pitr. */
  opid?: string
  /** Of the configuration the holder works by. */
  epoch: Timestamp
}

export interface LockDocument extends LockHeader {
  _id: ObjectId
  hb: Timestamp
}

/** Reading through what is stored, and trying a restore of it, which change nothing. */
const BESIDE: readonly LockHeader['type'][] = ['verify', 'drill']

/** What goes on beside operations, each kind alone: slicing, and what changes nothing. */
export function isBesideOperations(type: LockHeader['type']): boolean {
  return type === 'pitr' || BESIDE.includes(type)
}

/** `pbmLock` for operations, `pbmLockOp` for what goes on beside them, where PBM's agents look for slicers only. */
export function lockCollection(type: LockHeader['type']): string {
  return isBesideOperations(type) ? SLICER_LOCKS : LOCKS
}

/** The header as PBM stores and matches it: no field that is empty. */
export function headerDocument(header: LockHeader): Document {
  const { type, replset, node, opid, epoch } = header
  return { type, replset, node, ...(opid === undefined || opid === '' ? {} : { opid }), epoch }
}

export interface LockQuery {
  type?: LockHeader['type']
  replset?: string
  opid?: string
}

export async function listLocks(leader: MongoClient, query: LockQuery = {}): Promise<LockDocument[]> {
  return find(leader, LOCKS, query)
}

export async function listSlicerLocks(leader: MongoClient, query: LockQuery = {}): Promise<LockDocument[]> {
  return find(leader, SLICER_LOCKS, { type: 'pitr', ...query })
}

/** Of verifications and drills. */
export async function listBesideLocks(leader: MongoClient, query: LockQuery = {}): Promise<LockDocument[]> {
  return (await find(leader, SLICER_LOCKS, query)).filter(({ type }) => BESIDE.includes(type))
}

/** The operation locks whose holders are alive by cluster time: what forbids another operation. */
export async function listLiveLocks(leader: MongoClient, query: LockQuery = {}): Promise<LockDocument[]> {
  const [locks, now] = await Promise.all([listLocks(leader, query), clusterTime(leader)])
  return locks.filter(({ hb }) => !isStale(hb, now))
}

/** Removes a lock only if it is still the very one seen, heartbeat included. */
export async function removeLock(leader: MongoClient, lock: LockDocument): Promise<boolean> {
  const removed = await leader
    .db(CONTROL_DATABASE)
    .collection(lockCollection(lock.type))
    .deleteOne({ _id: lock._id, ...headerDocument(lock), hb: lock.hb })
  return removed.deletedCount === 1
}

/** Of an operation that has ended, and left them in a database that was away meanwhile. */
export async function removeLocksOf(leader: MongoClient, opid: string): Promise<void> {
  await leader.db(CONTROL_DATABASE).collection(LOCKS).deleteMany({ opid })
}

async function find(leader: MongoClient, collection: string, query: LockQuery): Promise<LockDocument[]> {
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(collection)
    .find({ ...query })
    .toArray()
  return found as unknown as LockDocument[]
}
