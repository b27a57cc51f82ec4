import { type MongoClient, ObjectId } from 'mongodb'
import { findBackupByOpid, setBackupStatus } from '../control/backups.js'
import { findCommand, noteDeadResync } from '../control/commands.js'
import type { LockHeader } from '../control/locks.js'
import { findRestoreByOpid, setRestoreStatus } from '../control/restores.js'
import { recordRefusal } from './refusal.js'

/**
 * Marks the backup or restore of a dead lock holder failed; other operations have no record. A restore whose agent died
 * before it made one gets it now, from its command: else it would just be gone. That a resync is to be repeated is noted on
 * its command, whoever removed the lock.
 */
export async function failOperation(leader: MongoClient, lock: LockHeader, reason: string): Promise<void> {
  if (lock.opid === undefined) return
  if (lock.type === 'resync') await noteDeadResync(leader, lock.opid)
  if (lock.type === 'backup') {
    const backup = await findBackupByOpid(leader, lock.opid)
    if (backup !== undefined) await setBackupStatus(leader, backup.name, 'error', { error: reason, by: 'watch' })
  }
  if (lock.type === 'restore' || lock.type === 'replay') {
    const restore = await findRestoreByOpid(leader, lock.opid)
    if (restore !== undefined) await setRestoreStatus(leader, restore.name, 'error', { error: reason, by: 'watch' })
    else if (ObjectId.isValid(lock.opid)) {
      const command = await findCommand(leader, ObjectId.createFromHexString(lock.opid))
      if (command !== undefined) await recordRefusal(leader, command, reason)
    }
  }
}
