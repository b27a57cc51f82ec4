import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import {
  type CursorFile,
  findCursorFile,
  isConnected,
  isSameCursorFile,
  LOCK_APP,
  processOf,
  unlockWrites,
} from '../mongo/fsync-lock.js'
import { serverOptions } from '../mongo/server-options.js'

/** What physical backups keep while they copy, in the dbPath: a file system clones only within itself. */
export const WORK_FOLDER = '.pbmkit'
const RECORD = 'lock.json'
/** Names of what an external backup lays beside the files. */
const LAID = 'laid.json'

/** A lock of ours, written down before it is asked for. */
export interface LockRecord {
  /** Of the mongod that is locked: see {@link processOf}. */
  readonly process: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** What the lock has made; absent until it is granted. */
  readonly cursor?: CursorFile
}

export async function writeLockRecord(dbPath: string, record: LockRecord): Promise<void> {
  const folder = join(dbPath, WORK_FOLDER)
  await mkdir(folder, { recursive: true })
  const temporary = join(folder, `${RECORD}.new`)
  await writeFile(temporary, JSON.stringify(record), { flush: true })
  await rename(temporary, join(folder, RECORD))
}

/** Writes files into the dbPath, of which the next agent knows where this one is killed. */
export async function layFiles(dbPath: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  await mkdir(join(dbPath, WORK_FOLDER), { recursive: true })
  const record = join(dbPath, WORK_FOLDER, LAID)
  await writeFile(`${record}.new`, JSON.stringify(Object.keys(files)), { flush: true })
  await rename(`${record}.new`, record)
  for (const [name, content] of Object.entries(files))
    await writeFile(join(dbPath, name), content, { mode: 0o600, flush: true })
}

/** Removes what {@link layFiles} has laid there. */
export async function removeLaidFiles(dbPath: string): Promise<void> {
  const record = join(dbPath, WORK_FOLDER, LAID)
  const text = await readFile(record, 'utf8').catch(() => undefined)
  if (text === undefined) return
  const names: unknown = JSON.parse(text)
  for (const name of Array.isArray(names) ? names.map(String) : [])
    if (basename(name) === name && /\.(?:json|pbm)$/.test(name)) await rm(join(dbPath, name), { force: true })
  await rm(record, { force: true })
}

export async function removeLockRecord(dbPath: string): Promise<void> {
  await rm(join(dbPath, WORK_FOLDER, RECORD), { force: true })
}

async function readLockRecord(dbPath: string): Promise<LockRecord | undefined> {
  const text = await readFile(join(dbPath, WORK_FOLDER, RECORD), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const { process, since, cursor } = JSON.parse(text) as Partial<LockRecord>
  if (typeof process !== 'string' || typeof since !== 'number') return undefined
  const isCursor = typeof cursor?.inode === 'string' && typeof cursor.modified === 'string'
  return { process, since, ...(isCursor && { cursor }) }
}

/** What is to be done about a lock that is written down. */
export type LockVerdict = 'unlock' | 'forget' | 'wait'

/**
 * Pure. `found`: the file of the lock that is held now, whoever holds it. `isAsking`: who asked for it is still connected, or
 * was when it was looked for the file.
 */
export function judgeLock(
  record: LockRecord,
  { process, found, isAsking }: { process: string; found: CursorFile | undefined; isAsking: boolean },
): LockVerdict {
  if (record.process !== process) return 'forget'
  if (record.cursor !== undefined) return isSameCursorFile(record.cursor, found) ? 'unlock' : 'forget'
  // It was asked for, and who asked died without the answer.
  if (found !== undefined && Number(BigInt(found.modified) / 1_000_000n) >= record.since - 1_000) return 'unlock'
  return isAsking ? 'wait' : 'forget'
}

/**
 * Ends a lock that is written down as ours, and nobody else's. True while one may still be granted that was asked for
 * before: to be called again. Rejects where the server or the folder can't be reached.
 */
export async function endForgottenLock(
  { node, log }: { readonly node: MongoClient; readonly log: Pick<OperationLog, 'warning'> },
  dbPath: string,
): Promise<boolean> {
  const record = await readLockRecord(dbPath)
  if (record === undefined) return false
  const process = await processOf(node)
  // Before it is looked for the file: without a connection, none comes any more. What can't be seen may be there.
  const mayAsk = process === record.process && record.cursor === undefined
  const isAsking = mayAsk && (await isConnected(node, LOCK_APP).catch(() => true))
  const verdict = judgeLock(record, { process, found: await findCursorFile(dbPath), isAsking })
  if (verdict === 'wait') return true
  if (verdict === 'unlock') {
    const left = await unlockWrites(node)
    log.warning(
      `a lock that a physical backup had left on this mongod is ended${left > 0 ? '; another one is held' : ''}`,
    )
  }
  await removeLockRecord(dbPath)
  return false
}

/**
 * At the start of an agent: ends what its predecessor has left, the lock and the copy. True where it has to be called
 * again. An agent whose user may not ask for the options of its server has never made physical backups.
 */
export async function repairPhysicalBackup(context: {
  readonly node: MongoClient
  readonly log: Pick<OperationLog, 'warning'>
}): Promise<boolean> {
  const options = await serverOptions(context.node).catch(() => undefined)
  if (options === undefined) return false
  const { dbPath } = options
  const isWaiting = await endForgottenLock(context, dbPath)
  if (isWaiting) return true
  const remove = async () => {
    await removeLaidFiles(dbPath)
    await rm(join(dbPath, WORK_FOLDER), { recursive: true, force: true })
  }
  await remove().catch((error: unknown) =>
    context.log.warning(`what a physical backup had left can't be removed: ${errorText(error)}`),
  )
  return false
}
