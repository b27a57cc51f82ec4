import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { hello } from './topology.js'

/** By which the connections of whoever locks are known on the server. */
export const LOCK_APP = 'pbm-agent-lock'

/**
 * `fsync` with `lock` opens WiredTiger's backup cursor on every edition of the server. As long as it is open, this file
 * lies in the dbPath; what is in it and in the data files is one state (measured: docs/reference/physical-community.md).
 */
export const CURSOR_FILE = 'WiredTiger.backup'

/** Which file a lock has made: another lock makes another one. */
export interface CursorFile {
  /** As texts: both are larger than a number can be exact. */
  readonly inode: string
  readonly modified: string
}

/** Undefined where no lock is held, or the folder is another server's. */
export async function findCursorFile(dbPath: string): Promise<CursorFile | undefined> {
  try {
    const { ino, mtimeNs } = await stat(join(dbPath, CURSOR_FILE), { bigint: true })
    return { inode: String(ino), modified: String(mtimeNs) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function isSameCursorFile(one: CursorFile, other: CursorFile | undefined): boolean {
  return one.inode === other?.inode && one.modified === other.modified
}

/** Another one after each start of the server: a lock does not outlive it. */
export async function processOf(client: MongoClient): Promise<string> {
  const { topologyVersion } = await hello(client)
  return String((topologyVersion as { processId?: unknown } | undefined)?.processId ?? '')
}

/** Gives how many locks are held now. */
export async function lockWrites(client: MongoClient): Promise<number> {
  const { lockCount } = await client.db('admin').command({ fsync: 1, lock: true })
  return Number(lockCount)
}

/** Takes one lock away; gives how many are left. */
export async function unlockWrites(client: MongoClient): Promise<number> {
  const { lockCount } = await client.db('admin').command({ fsyncUnlock: 1 })
  return Number(lockCount)
}

/**
 * Whether somebody of that name is connected to this mongod, or died so lately that it still works on what he had sent: a lock
 * that is asked for can't be taken back, and its connection lasts until it is granted. Needs the action `inprog`.
 */
export async function isConnected(client: MongoClient, appName: string): Promise<boolean> {
  const { inprog } = await client.db('admin').command({ currentOp: 1, $all: true, appName })
  return (inprog as unknown[]).length > 0
}
