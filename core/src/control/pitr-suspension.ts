import type { MongoClient } from 'mongodb'
import { clusterTime } from '../mongo/cluster-time.js'
import { CONTROL_DATABASE, PITR } from '../mongo/control-names.js'
import { setPitrEnabled } from './config.js'
import { forgetSuspension } from './pitr.js'
import { toWire, unixSeconds } from './wire.js'

/**
 * Switches point-in-time recovery off for a restore, and notes that it was on: the next snapshot switches it on again.
 * PBM leaves it off for ever. Throws CONFIG_MISSING.
 */
export async function suspendPitr(leader: MongoClient): Promise<void> {
  const hb = await clusterTime(leader)
  const fresh = toWire({ start_ts: unixSeconds(), status: '', n: [], replsets: [] })
  const pitr = leader.db(CONTROL_DATABASE).collection(PITR)
  await pitr.updateOne({}, { $set: { resume: true }, $setOnInsert: { ...fresh, hb } }, { upsert: true })
  await setPitrEnabled(leader, false)
}

/** Switches it on again. */
export async function resumePitr(leader: MongoClient): Promise<void> {
  await setPitrEnabled(leader, true)
  await forgetSuspension(leader)
}
