import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { type MongoClient, MongoServerError } from 'mongodb'
import { PbmError } from '../../errors.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import { neededEnvironment } from '../../plugin-host/needed-environment.js'
import { systemClock } from '../../time/clock.js'
import { inTime } from '../../time/deadline.js'
import { until } from '../../time/until.js'

/** A mongod as it was running: how to start it again. */
export interface ServerProgram {
  /** Absolute, of the binary. */
  readonly path: string
  /** The first is the program's name. */
  readonly argv: readonly string[]
  readonly cwd: string
}

const SHUTDOWN_MS = 600_000
const POLL_MS = 100

/** Throws SERVER_UNKNOWN where the process can't be seen: in another container, or of another user. */
export async function programOf({ dbPath, argv }: ServerOptions): Promise<ServerProgram> {
  const pid = await pidIn(dbPath)
  try {
    const [path, cwd] = await Promise.all([readlink(`/proc/${pid}/exe`), readlink(`/proc/${pid}/cwd`)])
    return { path, argv, cwd }
  } catch (cause) {
    throw new PbmError('SERVER_UNKNOWN', `the process of the mongod (${pid}) can't be seen`, {
      hint: 'Run the agent as the user of its mongod, on the same machine or in the same process namespace',
      cause,
    })
  }
}

/**
 * Resolves when nothing holds the files of the server any more: with whether it has closed them itself. It may be killed
 * meanwhile. Throws SERVER_STAYS.
 *
 * @param pid of a child of this process
 */
export async function stopServer(client: MongoClient, dbPath: string, pid: number | undefined): Promise<boolean> {
  await client
    .db('admin')
    .command({ shutdown: 1, force: true, timeoutSecs: 0 })
    // The connection ends with the server.
    .catch((error: unknown) => {
      if (error instanceof MongoServerError) throw error
    })
  const look = async () => {
    const noted = await pidIn(dbPath)
    const isOver = (pid === undefined || !isAlive(pid)) && (noted === undefined || !(await holdsFiles(noted, dbPath)))
    return isOver && { isClosed: noted === undefined }
  }
  const over = await until(look, { everyMs: POLL_MS, timeoutMs: SHUTDOWN_MS })
  if (over !== undefined) return over.isClosed
  throw stays(dbPath)
}

/** Ends the server that has these files open, if it is of that program: no other process is ever sent a signal. */
export async function endServerOf(dbPath: string, path: string): Promise<void> {
  const pid = await pidIn(dbPath)
  if (pid === undefined || !(await holdsFiles(pid, dbPath, path))) return
  process.kill(pid, 'SIGTERM')
  const hasEnded = async () => !(await holdsFiles(pid, dbPath, path))
  if (await until(hasEnded, { everyMs: POLL_MS, timeoutMs: SHUTDOWN_MS })) return
  throw stays(dbPath)
}

/** At once: of a server whose files nobody needs any more. Its folder must be one that only this program makes. */
export async function killServerOf(dbPath: string): Promise<void> {
  const pid = await pidIn(dbPath)
  if (pid === undefined || !(await holdsFiles(pid, dbPath))) return
  process.kill(pid, 'SIGKILL')
  const hasEnded = async () => !(await holdsFiles(pid, dbPath))
  if (await until(hasEnded, { everyMs: POLL_MS, timeoutMs: SHUTDOWN_MS })) return
  throw stays(dbPath)
}

/** Of the server that has the files open, or was killed with them open. */
async function pidIn(dbPath: string): Promise<number | undefined> {
  return Number((await readFile(join(dbPath, 'mongod.lock'), 'utf8').catch(() => '')).trim()) || undefined
}

/** @param path of its program; any where left out */
async function holdsFiles(pid: number, dbPath: string, path?: string): Promise<boolean> {
  try {
    if (path !== undefined && (await readlink(`/proc/${pid}/exe`)) !== path) return false
    const open = await readdir(`/proc/${pid}/fd`)
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
    return targets.includes(await realpath(join(dbPath, 'mongod.lock')))
  } catch {
    return false
  }
}

function stays(dbPath: string): PbmError {
  return new PbmError('SERVER_STAYS', `the mongod of ${dbPath} does not end`)
}

/**
 * By a command of this machine's own, else as it was started before. Resolves when it was started, not when it serves: such a
 * command may wait for that, up to `timeoutMs`.
 */
export async function startServer(
  program: ServerProgram,
  command: string | undefined,
  timeoutMs: number,
): Promise<void> {
  const env = neededEnvironment(process.env)
  if (command === undefined) {
    const { path, argv, cwd } = program
    const child = spawn(path, argv.slice(1), { cwd, env, detached: true, stdio: 'ignore' })
    child.unref()
    await once(child, 'spawn').catch((cause: unknown) => {
      throw new PbmError('SERVER_START', `${path} can't be started`, { cause })
    })
    return
  }
  const child = spawn('/bin/sh', ['-c', command], { env, stdio: ['ignore', 'ignore', 'ignore'] })
  const late = () => new PbmError('SERVER_START', `the start command has not ended within ${timeoutMs / 1000} s`)
  const [code, signal] = (await inTime(once(child, 'exit'), timeoutMs, late)) as [number | null, string | null]
  if (code === 0) return
  throw new PbmError('SERVER_START', `the start command of the mongod ended with ${signal ?? `exit code ${code}`}`, {
    hint: 'See --mongod-start of the agent, and run the command by hand as its user',
  })
}

/** Waits until `holds`. Throws SERVER_START with `what`. */
export async function awaitServer(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs: number,
  signal?: AbortSignal,
) {
  const look = () => holds().catch(() => false)
  if (await until(look, { clock: systemClock, signal, everyMs: POLL_MS * 2, timeoutMs })) return
  throw new PbmError('SERVER_START', `${what} within ${timeoutMs / 1000} s`, { hint: 'See the log of the mongod' })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
