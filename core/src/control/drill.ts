import type { Document, MongoClient } from 'mongodb'
import { BACKUPS, CONTROL_DATABASE, OPERATIONS } from '../mongo/control-names.js'
import type { Progress } from './backup-document.js'
import type { DrilledReplset, DrillReport } from './drill-document.js'
import type { LockHeader } from './locks.js'
import { toWire } from './wire.js'

/** How far a drill is, and in the end what came of it: in its document in `pbmOpLog`, of which PBM reads the header. */
export interface DrillNote {
  readonly replset: string
  readonly progress?: Progress
  readonly report?: DrillReport
}

export async function noteDrill(
  leader: MongoClient,
  { opid, replset }: Pick<LockHeader, 'opid' | 'replset'>,
  drill: Omit<DrillNote, 'replset'>,
): Promise<void> {
  const operations = leader.db(CONTROL_DATABASE).collection(OPERATIONS)
  await operations.updateOne({ opid, replset }, { $set: { drill: toWire(drill) } })
}

/** One for each replica set that has noted something. */
export async function findDrill(leader: MongoClient, opid: string): Promise<DrillNote[]> {
  const found = await leader.db(CONTROL_DATABASE).collection(OPERATIONS).find({ opid }).toArray()
  return found.flatMap(({ replset, drill }) =>
    drill === undefined ? [] : [{ ...(drill as Omit<DrillNote, 'replset'>), replset: String(replset) }],
  )
}

/** Only of a backup that is still there as it was. What other replica sets have noted stays. */
export async function setDrilled(
  leader: MongoClient,
  { name, opid }: { readonly name: string; readonly opid: string },
  drill: DrilledReplset,
): Promise<void> {
  const others = { $filter: { input: '$drills', cond: { $ne: ['$$this.rs', drill.rs] } } }
  const drills: Document = { $concatArrays: [{ $ifNull: [others, []] }, { $literal: [toWire(drill)] }] }
  await leader
    .db(CONTROL_DATABASE)
    .collection(BACKUPS)
    .updateOne({ name, opid }, [{ $set: { drills } }])
}
