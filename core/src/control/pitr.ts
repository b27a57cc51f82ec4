import type { Document, MongoClient } from 'mongodb'
import { clusterTime } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, PITR } from '../mongo/control-names.js'
import type { Nomination } from './backup-document.js'
import type { PitrDocument, PitrReplset, PitrStatus } from './pitr-document.js'
import { PITR_ANSWERS, PITR_STATES, sourcesOf } from './state-machine.js'
import { readList, readNumber, toWire, unixSeconds } from './wire.js'

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

/** Sets the cluster's status, where it may follow the one before, and empties the answers to that, as PBM does. */
export async function setPitrStatus(leader: MongoClient, status: PitrStatus): Promise<void> {
  const sources: (PitrStatus | null)[] = sourcesOf(PITR_STATES, status, 'clusterLeader')
  // One that is missing reads as ''.
  if (sources.includes('')) sources.push(null)
  await pitr(leader).updateOne({ status: { $in: sources } }, { $set: { status, replsets: [] } })
}

/** Puts a node's answer to the cluster's status `to` in place of its earlier one. False where that has changed. */
export async function reportPitrReplset(leader: MongoClient, entry: PitrReplset, to: PitrStatus): Promise<boolean> {
  if (PITR_ANSWERS[to]?.includes(entry.status) !== true) throw new Error(`${entry.status} is no answer to ${to}`)
  const isOwn = { $and: [{ $eq: ['$$this.name', entry.name] }, { $eq: ['$$this.node', entry.node] }] }
  const others = { $filter: { input: { $ifNull: ['$replsets', []] }, cond: { $not: [isOwn] } } }
  const change = { $set: { replsets: { $concatArrays: [others, [{ $literal: toWire(entry) }]] } } }
  return (await pitr(leader).updateOne({ status: to }, [change])).matchedCount === 1
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
