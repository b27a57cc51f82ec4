import type { Document, MongoClient, Timestamp } from 'mongodb'
import { clusterTime } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, PITR } from '../mongo/control-names.js'
import type { Nomination } from './backup-document.js'
import { readList, readNumber, toWire, unixSeconds } from './wire.js'

/** The one document on oplog slicing, field for field as PBM has it (PBM: control-plane.md §1.4). */
export interface PitrDocument {
  /** Unix seconds. */
  start_ts: number
  /** Cluster time of the cluster leader's last heartbeat. PBM's slicers stop when it is stale. */
  hb: Timestamp
  status: PitrStatus
  n: Nomination[]
  replsets: PitrReplset[]
  /** Ours; PBM ignores it, and drops it when it begins an election: tells whose cluster leader wrote the document. */
  tool?: string
  /** Ours: a restore has switched point-in-time recovery off; the next snapshot switches it on again. */
  resume?: boolean
}

export type PitrStatus = '' | 'ready' | 'running' | 'reconfig' | 'error'

/** What one node answers to the cluster's status. PBM keeps a replica set's errors here, too. */
export interface PitrReplset {
  /** The replica set. */
  name: string
  /** `host:port` */
  node: string
  status: PitrStatus
  error?: string
  /** Ours; PBM ignores it: the end of the last chunk that this slicer stored. */
  stored?: Timestamp
}

export const PITR_TOOL = 'pbmkit'

const pitr = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(PITR)

export async function findPitr(leader: MongoClient): Promise<PitrDocument | undefined> {
  const found = await pitr(leader).findOne({})
  return found === null ? undefined : readPitr(found)
}

/** A document of any PBM version as this project knows it. */
export function readPitr(found: Document): PitrDocument {
  const { _id, ...raw } = found
  return {
    ...(raw as PitrDocument),
    start_ts: readNumber(raw.start_ts),
    status: (raw.status as PitrStatus | undefined) ?? '',
    n: readList(raw.n as Nomination[] | null).map((one) => ({ ...one, n: readList(one.n), ack: one.ack ?? '' })),
    replsets: readList(raw.replsets as PitrDocument['replsets'] | null),
  }
}

/** Starts over; there is never more than one such document. */
export async function replacePitr(leader: MongoClient, document: PitrDocument): Promise<void> {
  await pitr(leader).replaceOne({}, toWire(document) as Document, { upsert: true })
}

/** Opens an election: every agent that could slice answers `ready` (PBM: control-plane.md §4, PITR nomination). */
export async function openPitrElection(leader: MongoClient): Promise<void> {
  const hb = await clusterTime(leader)
  const document = { start_ts: unixSeconds(), hb, status: 'ready' as const, n: [], replsets: [], tool: PITR_TOOL }
  await replacePitr(leader, document)
}

/** The cluster leader's heartbeat. */
export async function beatPitr(leader: MongoClient): Promise<void> {
  await pitr(leader).updateOne({}, { $set: { hb: await clusterTime(leader) } })
}

/** Sets the cluster's status, and empties the answers to the one before, as PBM does. */
export async function setPitrStatus(leader: MongoClient, status: PitrStatus): Promise<void> {
  await pitr(leader).updateOne({}, { $set: { status, replsets: [] } })
}

/** Puts a node's answer in place of its earlier one. With `ifStatus` only while the cluster's status is that. */
export async function reportPitrReplset(
  leader: MongoClient,
  entry: PitrReplset,
  options: { ifStatus?: PitrStatus } = {},
): Promise<boolean> {
  const isOwn = { $and: [{ $eq: ['$$this.name', entry.name] }, { $eq: ['$$this.node', entry.node] }] }
  const others = { $filter: { input: { $ifNull: ['$replsets', []] }, cond: { $not: [isOwn] } } }
  const change = { $set: { replsets: { $concatArrays: [others, [{ $literal: toWire(entry) }]] } } }
  const filter: Document = options.ifStatus === undefined ? {} : { status: options.ifStatus }
  return (await pitr(leader).updateOne(filter, [change])).matchedCount === 1
}

export async function openPitrNomination(leader: MongoClient, rs: string): Promise<void> {
  await pitr(leader).updateOne({ 'n.rs': { $ne: rs } }, { $push: { n: { rs, n: [], ack: '' } } } as Document)
}

/** Nominees are added up, unlike those of backups (PBM: control-plane.md §4). */
export async function addPitrNominees(leader: MongoClient, rs: string, nodes: readonly string[]): Promise<void> {
  await pitr(leader).updateOne({ 'n.rs': rs }, { $addToSet: { 'n.$.n': { $each: [...nodes] } } } as Document)
}

/** The nominee holds the lock. */
export async function acknowledgePitr(leader: MongoClient, rs: string, node: string): Promise<void> {
  await pitr(leader).updateOne({ 'n.rs': rs }, { $set: { 'n.$.ack': node } })
}

/** Somebody has said whether it is to be on: what was before the restore does not matter any more. */
export async function forgetSuspension(leader: MongoClient): Promise<void> {
  await pitr(leader).updateOne({ resume: { $exists: true } }, { $unset: { resume: '' } })
}
