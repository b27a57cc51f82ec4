import { mkdir, readdir, readlink, rm, stat, statfs, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { MongoClient } from 'mongodb'
import { PbmError } from '../../errors.js'
import { hello } from '../../mongo/topology.js'
import { isAbandoned, temporaryName } from '../../plugin-kit/temporary-file.js'
import { systemClock } from '../../time/clock.js'
import { until } from '../../time/until.js'
import { killServerOf } from './server-program.js'
import { isSockets, makeSockets, type StandaloneOptions, socketIn, withStandalone } from './standalone.js'

type Taken = 'path' | 'mongodOpts' | 'cacheGb' | 'appliesOplog' | 'replset' | 'serveMs'

export interface ScratchOptions extends Pick<StandaloneOptions, Taken> {
  /** A folder of this machine's own settings, made when it is missing. Each server has a folder of its own in it. */
  readonly parent: string
  /** Bytes that stay free on the file system of `parent`, for whatever else is there. */
  readonly keepFree: number
  /** Bytes that `fill` will need; 0 where absent. */
  readonly needs?: number
  readonly signal: AbortSignal
  /**
   * Puts files there that the server is to open; left out for an empty server. As a member of a replica set it is `host`, which
   * such files have to say.
   */
  readonly fill?: (dbPath: string, signal: AbortSignal, host: string) => Promise<void>
}

/** Of the free space. */
const LOOK_MS = 500
const POLL_MS = 100
const ELECTION_MS = 120_000
const PORT = 27017

/**
 * Runs `work` with a mongod of its own that nobody else can reach, and removes both it and its files, however that ends. What
 * an agent left that was killed is removed by {@link removeLeftScratch}, which this does first.
 *
 * Rejects with SCRATCH_SPACE, SCRATCH_FAILED, the signal's reason, and with what `work` rejects with. The signal that `work` is
 * given is aborted when space runs out, too; the server is killed with it, so that nothing waits for it.
 */
export async function withScratch<T>(
  options: ScratchOptions,
  work: (client: MongoClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { parent, fill } = options
  await removeLeftScratch(parent)
  const folder = join(parent, temporaryName())
  const dbPath = dataOf(folder)
  await mkdir(dbPath, { recursive: true, mode: 0o700 })
  const [full, over] = [new AbortController(), new AbortController()]
  const signal = AbortSignal.any([options.signal, full.signal])
  try {
    await requireSpace(options, options.needs)
    const watched = watchSpace(options, full, over.signal)
    try {
      const sockets = await makeSockets()
      await symlink(sockets, socketsOf(folder))
      await fill?.(dbPath, signal, socketIn(sockets))
      signal.throwIfAborted()
      const server = { ...options, dbPath, sockets, port: PORT, scripting: false, signal }
      return await withStandalone(server, join(folder, 'mongod.log'), async (client) => {
        if (options.replset !== undefined) await becomePrimary(client, options.replset, socketIn(sockets))
        return await work(client, signal)
      })
    } finally {
      over.abort()
      await watched
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof PbmError && error.code === 'FILES_UNUSABLE' ? asScratch(error) : error
  } finally {
    await removeFolder(folder)
  }
}

/** Rejects with what the driver says of a server that has ended. */
async function becomePrimary(client: MongoClient, replset: string, host: string): Promise<void> {
  const admin = client.db('admin')
  const isMember = (await hello(client)).setName !== undefined
  if (!isMember) await admin.command({ replSetInitiate: { _id: replset, members: [{ _id: 0, host }] } })
  const isPrimary = async () => (await hello(client)).isWritablePrimary === true
  if (await until(isPrimary, { clock: systemClock, everyMs: POLL_MS, timeoutMs: ELECTION_MS })) return
  throw new PbmError('SCRATCH_FAILED', `the scratch server is not the primary within ${ELECTION_MS / 1000} s`)
}

/** Of agents that don't live any more: ends their servers and removes the files. Those of others stay. */
export async function removeLeftScratch(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const folder = join(parent, name)
    const found = await stat(folder).catch(() => undefined)
    if (found === undefined || !isAbandoned(name, found.mtime)) continue
    await killServerOf(dataOf(folder))
    await removeFolder(folder)
  }
}

async function removeFolder(folder: string): Promise<void> {
  const sockets = await readlink(socketsOf(folder)).catch(() => undefined)
  if (sockets !== undefined && isSockets(sockets)) await rm(sockets, { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}

function dataOf(folder: string): string {
  return join(folder, 'data')
}

/** A link to where they are: their path has to be short. */
function socketsOf(folder: string): string {
  return join(folder, 'sockets')
}

async function watchSpace(options: ScratchOptions, full: AbortController, over: AbortSignal): Promise<void> {
  const look = async () => {
    try {
      await requireSpace(options)
      return false
    } catch (error) {
      full.abort(error)
      return true
    }
  }
  await until(look, { clock: systemClock, signal: over, everyMs: LOOK_MS }).catch(() => undefined)
}

/** Whether the folder, which is made when it is missing, has room. Throws SCRATCH_SPACE. */
export async function requireSpace(
  { parent, keepFree }: Pick<ScratchOptions, 'parent' | 'keepFree'>,
  needs = 0,
): Promise<void> {
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const { bavail, bsize } = await statfs(parent)
  const free = bavail * bsize
  if (free > keepFree + needs) return
  const needed = needs === 0 ? '' : `${needs} are needed, and `
  throw new PbmError(
    'SCRATCH_SPACE',
    `the file system of ${parent} has ${free} bytes left: ${needed}${keepFree} stay free`,
    {
      hint: 'Make room there, or move the folder: see --scratch-folder of the agent',
    },
  )
}

/** The log that the hint of the cause names is removed with the files. */
function asScratch(cause: PbmError): PbmError {
  return new PbmError('SCRATCH_FAILED', `the scratch server failed: ${cause.message}`, {
    hint: 'Is its program of the version that the backup was made of, and is there memory for it?',
    cause,
  })
}
