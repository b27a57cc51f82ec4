import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PbmError } from '../../errors.js'

/** What a physical restore keeps in the dbPath: files change places by renames, within one file system. */
export const RESTORE_WORK_FOLDER = '.pbmkit-restore'

export interface RestoreFolders {
  readonly dbPath: string
  /** The files of the backup, until they take the place of the old ones. */
  readonly fresh: string
  /** The files that were there before, until the new ones have proven themselves. */
  readonly old: string
  readonly work: string
  /** What of the oplog is put on top of the new ones: a file. */
  readonly oplog: string
}

export function restoreFolders(dbPath: string): RestoreFolders {
  const work = join(dbPath, RESTORE_WORK_FOLDER)
  return { dbPath, work, fresh: join(work, 'new'), old: join(work, 'old'), oplog: join(work, 'oplog.bson') }
}

/** Files of the server at the top of a dbPath, and its folders. All else is not its own: logs, keys, what people lay there. */
const SERVER_FILE = /^(?:WiredTiger(?:HS|LAS)?(?:\.[a-z]+)?|.+\.wt|mongod\.lock|storage\.bson)$/
const SERVER_FOLDERS: ReadonlySet<string> = new Set(['journal', 'diagnostic.data', '_tmp', 'rollback'])

/** The names at the top of a dbPath that a server has made; folders of databases are known by what is in them. */
export async function serverEntries(folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry
    if (name.startsWith('.')) continue
    if (!entry.isFile() && SERVER_FOLDERS.has(name)) found.push(name)
    else if (entry.isFile() ? SERVER_FILE.test(name) : await holdsData(join(folder, name))) found.push(name)
  }
  return found
}

async function holdsData(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch((): string[] => [])
  if (names.some((name) => name.endsWith('.wt'))) return true
  const below = await Promise.all(
    ['collection', 'index']
      .filter((name) => names.includes(name))
      .map((name) => readdir(join(folder, name)).catch((): string[] => [])),
  )
  return below.flat().some((name) => name.endsWith('.wt'))
}

/** Throws MOUNTS_INSIDE: what lies on another file system can't change its place by a rename. */
export async function refuseMounts(dbPath: string): Promise<void> {
  const { dev } = await lstat(dbPath)
  for (const name of await serverEntries(dbPath)) {
    if ((await lstat(join(dbPath, name))).dev === dev) continue
    throw new PbmError('MOUNTS_INSIDE', `${join(dbPath, name)} is a file system of its own: it can't be moved aside`, {
      hint: 'Restore a logical backup; or have a link there to a folder of that file system instead',
    })
  }
}

/** Moves the server's files from one folder to another. Goes on where it was broken off. */
export async function moveServerFiles(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const name of await serverEntries(from)) await rename(join(from, name), join(to, name))
}

/** Puts the files of the backup into the empty place. Goes on where it was broken off. */
export async function placeFiles({ fresh, dbPath }: RestoreFolders): Promise<void> {
  for (const name of await readdir(fresh)) await rename(join(fresh, name), join(dbPath, name))
}

export async function removeServerFiles(folder: string): Promise<void> {
  for (const name of await serverEntries(folder)) await rm(join(folder, name), { recursive: true, force: true })
}

/** Makes the folders above a file. */
export async function makeWay(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
}
