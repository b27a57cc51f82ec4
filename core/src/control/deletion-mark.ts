import type { MongoClient } from 'mongodb'
import { BACKUPS } from '../mongo/control-names.js'
import { DELETION_STATES } from './state-machine.js'
import { transition } from './transition.js'

/** What a backup says while it is being deleted, and for good when that was interrupted. */
export const DELETION_UNFINISHED = 'its deletion began and did not finish: delete it again'

/**
 * Marks a backup as no longer usable before its first object goes: without it, a crash in mid-deletion would leave a backup
 * that reads as done and lacks objects.
 */
export async function markDeletion(leader: MongoClient, name: string): Promise<void> {
  const target = { leader, collection: BACKUPS, machine: DELETION_STATES, what: `backup ${name}`, filter: { name } }
  await transition(target, 'error', { error: DELETION_UNFINISHED, by: 'deletion' })
}
