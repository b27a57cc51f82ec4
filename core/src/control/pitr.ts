import type { Document, MongoClient, Timestamp } from 'mongodb'
import type { Nomination } from './backup-document.js'
import { CONTROL_DATABASE, PITR } from './names.js'
import { readList, readNumber, toWire } from './wire.js'

/** The one document on oplog slicing, field for field as PBM has it (PBM: control-plane.md §1.4). */
export interface PitrDocument {
  /** Unix seconds. */
  start_ts: number
  hb: Timestamp
  status: PitrStatus
  n: Nomination[]
  replsets: { name: string; node: string; status: PitrStatus; error?: string }[]
}

export type PitrStatus = '' | 'ready' | 'running' | 'reconfig' | 'error'

const pitr = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(PITR)

export async function findPitr(leader: MongoClient): Promise<PitrDocument | undefined> {
  const found = await pitr(leader).findOne({})
  if (found === null) return undefined
  const { _id, ...raw } = found
  return {
    ...(raw as PitrDocument),
    start_ts: readNumber(raw.start_ts),
    n: readList(raw.n as Nomination[] | null).map((one) => ({ ...one, n: readList(one.n) })),
    replsets: readList(raw.replsets as PitrDocument['replsets'] | null),
  }
}

/** Starts over; there is never more than one such document. */
export async function replacePitr(leader: MongoClient, document: PitrDocument): Promise<void> {
  await pitr(leader).replaceOne({}, toWire(document) as Document, { upsert: true })
}
