import { copyFile, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { serialize } from 'bson'
import { type FileLayout, leadsToData } from '../../backup/physical/layout.js'
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
const SERVER_FILE = /^(?:WiredTiger(?:HS|LAS)?(?:\.[a-z]+)?|[^.].*\.wt|mongod\.lock|storage\.bson)$/
const SERVER_FOLDERS: ReadonlySet<string> = new Set(['journal', 'diagnostic.data', '_tmp', 'rollback'])

/**
 * The names at the top of a dbPath that a server of that layout has made; folders of databases are known by what is in them. Any
 * other folder is somebody's own, whatever is in it: a copy of a dbPath, for example.
 */
export async function serverEntries(folder: string, layout: FileLayout): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry
    const isOwn = entry.isFile()
      ? SERVER_FILE.test(name)
      : SERVER_FOLDERS.has(name) || (leadsToData(name, layout) && (await holdsData(join(folder, name))))
    if (isOwn) found.push(name)
  }
  return found
}

/** Throws PLACE_TAKEN where a file of the backup would take the place of what somebody has laid into the dbPath. */
export async function refuseTakenPlaces(dbPath: string, paths: readonly string[], layout: FileLayout): Promise<void> {
  const moved = new Set(await serverEntries(dbPath, layout))
  const others = new Set((await readdir(dbPath)).filter((name) => !moved.has(name)))
  const taken = paths.map((path) => path.split('/')[0] ?? '').find((name) => others.has(name))
  if (taken === undefined) return
  throw new PbmError('PLACE_TAKEN', `The backup has ${taken}, and ${join(dbPath, taken)} is not the server's own`, {
    hint: 'Move it elsewhere: only files of the server are moved aside for a restore',
  })
}

async function holdsData(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch((): string[] => [])
  // A dbPath of its own, or a copy of one.
  if (names.includes('WiredTiger')) return false
  if (names.some((name) => name.endsWith('.wt'))) return true
  const below = await Promise.all(
    ['collection', 'index']
      .filter((name) => names.includes(name))
      .map((name) => readdir(join(folder, name)).catch((): string[] => [])),
  )
  return below.flat().some((name) => name.endsWith('.wt'))
}

/** Throws MOUNTS_INSIDE: what lies on another file system can't change its place by a rename. */
export async function refuseMounts(dbPath: string, layout: FileLayout): Promise<void> {
  const { dev } = await lstat(dbPath)
  for (const name of await serverEntries(dbPath, layout)) {
    // A server that runs has collections dropped at any moment.
    const found = await lstat(join(dbPath, name)).catch(unlessMissing)
    if (found === undefined || found.dev === dev) continue
    throw new PbmError('MOUNTS_INSIDE', `${join(dbPath, name)} is a file system of its own: it can't be moved aside`, {
      hint: 'Restore a logical backup; or have a link there to a folder of that file system instead',
    })
  }
}

/** By it a server knows the engine of its files: where it does not know that one, it ends at once and touches nothing. */
export const ENGINE_FILE = 'storage.bson'
export const NO_ENGINE = 'of a physical restore of pbmkit that is under way'

/**
 * Moves the server's files aside, for good when it resolves. Goes on where it was broken off. From then on no server starts here
 * until {@link placeFiles} or {@link moveBack} are through: a machine that boots would have it begin anew on what is left.
 *
 * @param endServer called when none can start any more, and nothing is moved yet: one may have started just before
 */
export async function moveAside(
  folders: RestoreFolders,
  layout: FileLayout,
  endServer: () => Promise<void>,
): Promise<void> {
  const { dbPath, old, work } = folders
  await makeFolder(old)
  const aside = new Set(await namesIn(old))
  if (!aside.has(ENGINE_FILE)) {
    const copy = join(work, 'engine.bson')
    await copyFile(join(dbPath, ENGINE_FILE), copy)
    await syncFolder(copy)
    await rename(copy, join(old, ENGINE_FILE))
    await syncFolder(old)
  }
  await barServers(folders)
  await endServer()
  // Never over an old one.
  for (const name of await serverEntries(dbPath, layout))
    if (name !== ENGINE_FILE && !aside.has(name)) await rename(join(dbPath, name), join(old, name))
  for (const folder of [old, dbPath]) await syncFolder(folder)
}

/** Only where its own file is safe. */
export async function barServers({ dbPath, old, work }: RestoreFolders): Promise<void> {
  if (!(await namesIn(old)).includes(ENGINE_FILE)) return
  const bar = join(work, 'no-engine.bson')
  await writeFile(bar, serialize({ storage: { engine: NO_ENGINE, options: {} } }), { flush: true })
  await rename(bar, join(dbPath, ENGINE_FILE))
  await syncFolder(dbPath)
}

/** The way back of {@link moveAside}. */
export async function moveBack({ dbPath, old }: RestoreFolders, layout: FileLayout): Promise<void> {
  const names = await serverEntries(old, layout)
  for (const name of names) {
    if (name === ENGINE_FILE) continue
    // Whatever else has come there.
    await rm(join(dbPath, name), { recursive: true, force: true })
    await rename(join(old, name), join(dbPath, name))
  }
  for (const folder of [dbPath, old]) await syncFolder(folder)
  if (names.includes(ENGINE_FILE)) await rename(join(old, ENGINE_FILE), join(dbPath, ENGINE_FILE))
  for (const folder of [dbPath, old]) await syncFolder(folder)
}

/**
 * Puts the files of the backup into the empty place, for good when it resolves. Goes on where it was broken off. Throws
 * PLACE_TAKEN, and has then moved nothing, where a file would take the place of another.
 */
export async function placeFiles({ fresh, dbPath }: RestoreFolders): Promise<void> {
  const all = await readdir(fresh)
  const names = all.filter((name) => name !== ENGINE_FILE)
  for (const name of names) {
    const found = await lstat(join(dbPath, name)).catch(unlessMissing)
    // Only an empty folder gives way to a rename.
    if (found === undefined || found.isDirectory()) continue
    throw new PbmError('PLACE_TAKEN', `The backup has ${name}, and ${join(dbPath, name)} is still there`, {
      hint: 'It was to be moved aside before; see whether somebody has put it there meanwhile',
    })
  }
  for (const name of names) await rename(join(fresh, name), join(dbPath, name))
  for (const folder of [dbPath, fresh]) await syncFolder(folder)
  if (!all.includes(ENGINE_FILE)) return
  await rename(join(fresh, ENGINE_FILE), join(dbPath, ENGINE_FILE))
  for (const folder of [dbPath, fresh]) await syncFolder(folder)
}

/** @param keep names that stay */
export async function removeServerFiles(
  folder: string,
  layout: FileLayout,
  keep: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const name of await serverEntries(folder, layout))
    if (!keep.has(name)) await rm(join(folder, name), { recursive: true, force: true })
  await syncFolder(folder)
}

/** Empty where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(unlessMissing)) ?? []
}

/** The names in a folder outlive a power cut only then, whatever was done for the files. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

/** With all above it, for good when it resolves. Only this user may look into what was made. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  // Others may be no business of this user, not even to be read.
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Makes the folders above a file. */
export async function makeWay(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
}
