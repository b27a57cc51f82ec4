import type { MongoClient } from 'mongodb'
import { BACKUPS, CONTROL_DATABASE } from '../mongo/control-names.js'
import { toWire, unixSeconds } from './wire.js'

/** What a backup says while it is being deleted, and for good when that was interrupted. */
export const DELETION_UNFINISHED = 'its deletion began and did not finish: delete it again'

/**
 * Marks a backup as no longer usable before its first object goes. The only change that leaves an end of the state
 * machine: without it, a crash in mid-deletion would leave a backup that reads as done and lacks objects.
 */
export async function markDeletion(leader: MongoClient, name: string): Promise<void> {
  const timestamp = unixSeconds()
  const condition = toWire({ timestamp, status: 'error', error: DELETION_UNFINISHED })
  await leader
    .db(CONTROL_DATABASE)
    .collection<{ conditions: object[] }>(BACKUPS)
    .updateOne(
      { name },
      {
        $set: toWire({ status: 'error', error: DELETION_UNFINISHED, last_transition_ts: timestamp }),
        $push: { conditions: condition },
      },
    )
}
