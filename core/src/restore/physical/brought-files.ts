import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, Timestamp } from 'bson'
import { externalFiles } from '../../backup/physical/external.js'
import type { FileLayout } from '../../backup/physical/layout.js'
import { errorText, PbmError } from '../../errors.js'
import { CURSOR_FILE } from '../../mongo/fsync-lock.js'
import { decodeFileList, type ListedFile } from '../../store/layout/file-list.js'
import { ENGINE_FILE, NO_ENGINE, serverEntries, syncFolder } from './folders.js'

/** Files that a person brings instead of a storage (PBM: physical.md §7). */
export interface ExternalFiles {
  /** What the replica set was called where they were copied. */
  readonly source: string
  /** `--ts`: what they are to be cut to. */
  readonly time?: Timestamp | undefined
  /** The end of the backup, as its record has it. */
  readonly backupEnd?: Timestamp | undefined
  /** The agent ends while they are copied. */
  readonly exit: boolean
}

const METADATA_BYTES = 16 * 1024 * 1024
/** What a server that ran has left, and what WiredTiger makes anew from {@link CURSOR_FILE}. */
const LEFT = ['mongod.lock', 'WiredTiger.lock', 'ongoingBackup.lock']
const MADE_ANEW = ['WiredTiger.wt', 'WiredTiger.turtle']

/**
 * Looks at what was copied into the dbPath, and removes what is no part of it: with the list of the backup all other files of the server,
 * else what WiredTiger makes anew (PBM: physical.md §7, step 4). Gives the last write that they are to have; undefined where nothing says
 * it. Throws FILES_MISSING and FILE_LIST_INVALID.
 */
export async function acceptFiles(
  dbPath: string,
  layout: FileLayout,
  { source, time, backupEnd }: ExternalFiles,
): Promise<Timestamp | undefined> {
  await requireEngine(dbPath)
  const { metadata, list } = externalFiles(source)
  const files = await listIn(join(dbPath, list))
  if (files === undefined) await removeUnlisted(dbPath)
  else await keepListed(dbPath, layout, files)
  await syncFolder(dbPath)
  return time ?? (await endIn(join(dbPath, metadata))) ?? backupEnd
}

/** What lies beside the files is nothing for a server. */
export async function removeCompanions(dbPath: string): Promise<void> {
  for (const name of await readdir(dbPath))
    if (name === 'filelist.pbm' || /^pbm\.rsmeta\..+\.json$/.test(name)) await rm(join(dbPath, name), { force: true })
}

async function requireEngine(dbPath: string): Promise<void> {
  const bytes = await readFile(join(dbPath, ENGINE_FILE)).catch(unlessMissing)
  const engine = bytes === undefined ? undefined : deserialize(bytes).storage?.engine
  if (engine === undefined || engine === NO_ENGINE) throw missing(`${ENGINE_FILE} was not copied into ${dbPath}`)
  if (engine !== 'wiredTiger')
    throw new PbmError('RESTORE_UNSUPPORTED', `the files in ${dbPath} are of the engine ${engine}`)
}

async function listIn(path: string): Promise<ListedFile[] | undefined> {
  if ((await stat(path).catch(unlessMissing)) === undefined) return undefined
  const files: ListedFile[] = []
  for await (const file of decodeFileList(createReadStream(path))) files.push(file)
  return files
}

async function removeUnlisted(dbPath: string): Promise<void> {
  const isOfLock = (await stat(join(dbPath, CURSOR_FILE)).catch(unlessMissing)) !== undefined
  for (const name of [...LEFT, ...(isOfLock ? MADE_ANEW : [])]) await rm(join(dbPath, name), { force: true })
}

async function keepListed(dbPath: string, layout: FileLayout, files: readonly ListedFile[]): Promise<void> {
  const listed = new Map(files.map((file) => [file.filename, file]))
  for (const [name, { fileSize }] of listed) {
    const found = await stat(join(dbPath, name)).catch(unlessMissing)
    if (found === undefined) throw missing(`${name} was not copied into ${dbPath}`)
    if (found.size < fileSize) throw missing(`${name} was copied in part: ${found.size} of ${fileSize} bytes`)
  }
  const clear = async (path: string): Promise<void> => {
    const full = join(dbPath, path)
    if (!(await lstat(full)).isDirectory()) {
      if (!listed.has(path)) await rm(full, { force: true })
      return
    }
    for (const name of await readdir(full)) await clear(`${path}/${name}`)
  }
  for (const name of await serverEntries(dbPath, layout)) await clear(name)
}

/** The last write, of which PBM writes that of the whole cluster. */
async function endIn(path: string): Promise<Timestamp | undefined> {
  const found = await stat(path).catch(unlessMissing)
  if (found === undefined) return undefined
  if (found.size > METADATA_BYTES) throw new PbmError('OBJECT_TOO_LARGE', `${path} is too large`)
  try {
    const { T, I } = (JSON.parse(await readFile(path, 'utf8')) as { last_write_ts: { T: number; I: number } })
      .last_write_ts
    return new Timestamp({ t: T, i: I })
  } catch (cause) {
    throw new PbmError('FILE_LIST_INVALID', `${path} does not tell the last write: ${errorText(cause)}`, {
      hint: 'Copy the file again, or say the time: --ts',
      cause,
    })
  }
}

function missing(what: string): PbmError {
  return new PbmError('FILES_MISSING', what, {
    hint: 'Copy all files of the backup, with filelist.pbm, before pbm restore-finish; then restore again',
  })
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
