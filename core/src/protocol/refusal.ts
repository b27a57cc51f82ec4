import type { MongoClient } from 'mongodb'
import { findBackup, insertBackup } from '../control/backups.js'
import { type CommandDocument, isRestore } from '../control/command-document.js'
import { noteRefused } from '../control/commands.js'
import { newBackup } from '../control/new-backup.js'
import { emptyReplay, emptyRestore } from '../control/new-restore.js'
import { knownBackupStore } from '../control/profiles.js'
import { findRestore, insertRestore, setRestoreStatus } from '../control/restores.js'
import { isDuplicateKey, unixSeconds } from '../control/wire.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { nodeInfo } from '../mongo/topology.js'

/**
 * Leaves a record of a backup or restore that ended before anybody made one: without it, whoever waits for the operation
 * learns nothing until patience ends. No record is made where there is one, or for commands that never have one. The command
 * itself is marked, so that no agent that starts later carries it out.
 *
 * @param status `canceled` is for backups only: other operations can't be canceled.
 * @returns whether it made one
 */
export async function recordRefusal(
  leader: MongoClient,
  command: CommandDocument,
  error: string,
  status: 'error' | 'canceled' = 'error',
): Promise<boolean> {
  await noteRefused(leader, command._id)
  if (command.cmd === 'backup') return recordBackup(leader, command, error, status)
  if (isRestore(command) || command.cmd === 'replay') return recordRestore(leader, command, error)
  return false
}

async function recordBackup(
  leader: MongoClient,
  command: CommandDocument & { cmd: 'backup' },
  error: string,
  status: 'error' | 'canceled',
): Promise<boolean> {
  if ((await findBackup(leader, command.backup.name)) !== undefined) return false
  const [store, server, hb] = await Promise.all([
    // A configuration that can't be read may be the very reason.
    knownBackupStore(leader, command.backup.profile),
    nodeInfo(leader),
    clusterTime(leader),
  ])
  try {
    await insertBackup(leader, { ...newBackup({ command, store, server, hb }), status, error })
    return true
  } catch (fault) {
    if (isDuplicateKey(fault)) return false
    throw fault
  }
}

async function recordRestore(
  leader: MongoClient,
  command: CommandDocument & { cmd: 'restore' | 'restorePart' | 'replay' },
  error: string,
): Promise<boolean> {
  const { name } = command.cmd === 'replay' ? command.replay : command.restore
  if ((await findRestore(leader, name)) !== undefined) return false
  const [opid, now, hb] = [command._id.toHexString(), unixSeconds(), await clusterTime(leader)]
  const record =
    command.cmd === 'replay' ? emptyReplay(command.replay, opid, now, hb) : emptyRestore(command.restore, opid, now, hb)
  if (!(await insertRestore(leader, record))) return false
  await setRestoreStatus(leader, name, 'error', { error })
  return true
}
