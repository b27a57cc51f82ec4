import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
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
  readonly pid: number
}

const SHUTDOWN_MS = 600_000
const POLL_MS = 100

/** Throws SERVER_UNKNOWN where the process can't be seen: in another container, or of another user. */
export async function programOf({ dbPath, argv }: ServerOptions): Promise<ServerProgram> {
  const pid = Number((await readFile(join(dbPath, 'mongod.lock'), 'utf8')).trim())
  try {
    const [path, cwd] = await Promise.all([readlink(`/proc/${pid}/exe`), readlink(`/proc/${pid}/cwd`)])
    return { path, argv, cwd, pid }
  } catch (cause) {
    throw new PbmError('SERVER_UNKNOWN', `the process of the mongod (${pid}) can't be seen`, {
      hint: 'Run the agent as the user of its mongod, on the same machine or in the same process namespace',
      cause,
    })
  }
}

/** Resolves when the process has ended: nothing holds its files any more. Throws SERVER_STAYS. */
export async function stopServer(client: MongoClient, dbPath: string, pid: number | undefined): Promise<void> {
  await client
    .db('admin')
    .command({ shutdown: 1, force: true, timeoutSecs: 0 })
    // The connection ends with the server.
    .catch((error: unknown) => {
      if (error instanceof MongoServerError) throw error
    })
  const hasEnded = async () => {
    const lock = await stat(join(dbPath, 'mongod.lock')).catch(() => undefined)
    return (lock === undefined || lock.size === 0) && (pid === undefined || !isAlive(pid))
  }
  if (await until(hasEnded, { everyMs: POLL_MS, timeoutMs: SHUTDOWN_MS })) return
  throw new PbmError('SERVER_STAYS', `the mongod of ${dbPath} does not end`)
}

/** Ends the server that has these files open, if it is of that program: no other process is ever sent a signal. */
export async function endServerOf(dbPath: string, path: string): Promise<void> {
  const pid = Number((await readFile(join(dbPath, 'mongod.lock'), 'utf8').catch(() => '')).trim())
  const isOurs = async () => pid > 0 && isAlive(pid) && (await holdsFiles(pid, dbPath, path))
  if (!(await isOurs())) return
  process.kill(pid, 'SIGTERM')
  const hasEnded = async () => !(await isOurs())
  if (await until(hasEnded, { everyMs: POLL_MS, timeoutMs: SHUTDOWN_MS })) return
  throw new PbmError('SERVER_STAYS', `the mongod of ${dbPath} does not end`)
}

async function holdsFiles(pid: number, dbPath: string, path: string): Promise<boolean> {
  try {
    if ((await readlink(`/proc/${pid}/exe`)) !== path) return false
    const open = await readdir(`/proc/${pid}/fd`)
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
    return targets.includes(join(dbPath, 'mongod.lock'))
  } catch {
    return false
  }
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
