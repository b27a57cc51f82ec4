import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BackupCommand, type BackupDocument, findBackup, setBackupStatus } from '@pbmkit/core'
import { type Document, MongoClient } from 'mongodb'
import { outputs, sendBackup, until, type WithAgents } from './cluster.support.js'

/** Starts an external backup, and waits until its files may be copied. */
export async function readyToCopy(cluster: WithAgents, given: Partial<BackupCommand> = {}): Promise<BackupDocument> {
  const name = await sendBackup(cluster.leader, { type: 'external', ...given })
  let found: BackupDocument | undefined
  const isReady = async () => {
    found = await findBackup(cluster.leader, name)
    if (found?.status === 'error') throw new Error(`${found.error}\n${outputs(cluster)}`)
    return found?.status === 'copyReady'
  }
  await until('the files to be ready', isReady, 40)
  if (found === undefined) throw new Error('unreachable')
  return found
}

/** What `pbm backup-finish` does. */
export async function finishCopy({ leader }: WithAgents, name: string): Promise<void> {
  await setBackupStatus(leader, name, 'copyDone', { by: 'operator' })
}

export function dbPathOf({ mongod_opts }: BackupDocument['replsets'][number]): string {
  return String((mongod_opts?.storage as Document | undefined)?.dbPath)
}

export async function isLocked(uri: string): Promise<boolean> {
  const client = await MongoClient.connect(uri)
  try {
    const { fsyncLock } = await client.db('admin').command({ currentOp: 1 })
    return fsyncLock === true
  } finally {
    await client.close()
  }
}

/** As a snapshot of the volume has it. */
export async function copyFolder(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (name.startsWith('.pbmkit') || name === 'mongod.lock' || name.endsWith('.sock')) continue
    await cp(join(from, name), join(to, name), { recursive: true })
  }
}
