import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { layoutOf } from '../../backup/physical/layout.js'
import { errorText } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { nodeInfo } from '../../mongo/topology.js'
import type { PluginHost } from '../../plugin-host/host.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import { decodeFileList, type ListedFile } from '../../store/layout/file-list.js'
import type { OpenStore } from '../../store/open-store.js'
import { fetchFiles } from '../physical/fetch.js'
import { RESTORE_WORK_FOLDER, serverEntries } from '../physical/folders.js'
import { type PrepareContext, preparePhysical } from '../physical/prepare.js'
import { restoreCommand } from '../restore.support.js'
import type { Base } from './bases.support.js'
import type { CraftedTarget, TargetPart } from './target.support.js'

export async function readListAt(folder: string, object: string): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  for await (const file of decodeFileList(bodyOf(await readFile(join(folder, object))))) files.push(file)
  return files
}

export interface FetchedFiles {
  readonly base: Base
  readonly target: CraftedTarget
  readonly store: OpenStore
  readonly host: PluginHost
  readonly log: OperationLog
}

/**
 * The files of a physical backup, brought beside the data of a running server, up to where it would be ended for them: name →
 * hash. `faults`: what is where it must not be. They are removed again.
 */
export async function fetchCrafted(given: FetchedFiles): Promise<{ files: Map<string, string>; faults: string[] }> {
  const { base, target, store, host, log } = given
  const [part] = target.parts
  if (part === undefined) throw new TypeError('there is no member')
  const dbPath = await dbPathOf(part)
  const work = join(dbPath, RESTORE_WORK_FOLDER)
  const { signal } = new AbortController()
  const context: PrepareContext = {
    ...{ node: part.node, leader: target.leader, self: { rs: part.rs, node: part.host }, log, host, store, signal },
    ...{ ciphers: base.ciphers, info: await nodeInfo(part.node) },
  }
  const before = new Set(await namesBeside(dbPath))
  const outside = async () => (await namesBeside(dbPath)).filter((name) => !before.has(name))
  try {
    const prepared = await preparePhysical(restoreCommand(base.backup).restore, context)
    await fetchFiles(prepared.files, { folder: prepared.folder, parallel: 4, progress: undefined, signal })
    const files = await hashes(prepared.folder)
    const entries = await serverEntries(prepared.folder, layoutOf(prepared.server.mongodOpts))
    const odd = (await readdir(prepared.folder)).filter((name) => !entries.includes(name))
    return { files, faults: [...odd.map((name) => `${name} is no file of a server`), ...(await outside())] }
  } catch (error) {
    const faults = await outside()
    if (faults.length > 0) throw new Error(`${errorText(error)}; beside: ${faults.join(', ')}`, { cause: error })
    throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function dbPathOf({ admin }: TargetPart): Promise<string> {
  const { parsed } = await admin.db('admin').command({ getCmdLineOpts: 1 })
  return String(parsed.storage.dbPath)
}

/** All around the data, but what the server itself makes there. */
async function namesBeside(dbPath: string): Promise<string[]> {
  const entries = await readdir(dirname(dbPath), { recursive: true, withFileTypes: true })
  const names = entries.map((entry) => join(entry.parentPath, entry.name))
  return names.filter(
    (name) => !name.includes(`/${RESTORE_WORK_FOLDER}`) && !/\/diagnostic\.data\/|\.wt$|\/journal\//.test(name),
  )
}

async function hashes(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    found.set(
      path.slice(folder.length + 1),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    )
  }
  return found
}
