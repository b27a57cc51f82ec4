import assert from 'node:assert/strict'
import type { BackupCommand, BackupDocument, RestoreCommand, RestoreDocument } from '@pbmkit/core'
import {
  backupEnded,
  outputs,
  restoreEnded,
  sendBackup,
  sendRestore,
  unlocked,
  type WithAgents,
} from './cluster.support.js'

/** Makes a backup, which must succeed, and waits until others may begin. */
export async function backUp(cluster: WithAgents, given: Partial<BackupCommand> = {}): Promise<BackupDocument> {
  const backup = await backupEnded(cluster, await sendBackup(cluster.leader, given))
  assert.deepEqual([backup.status, backup.error ?? ''], ['done', ''], outputs(cluster))
  await unlocked(cluster)
  return backup
}

/** As {@link backUp}, a restore of `backup`. */
export async function restore(
  cluster: WithAgents,
  backup: string,
  given: Partial<RestoreCommand> = {},
): Promise<RestoreDocument> {
  const restored = await restoreEnded(cluster, await sendRestore(cluster.leader, backup, given))
  assert.deepEqual([restored.status, restored.error ?? ''], ['done', ''], outputs(cluster))
  await unlocked(cluster)
  return restored
}
