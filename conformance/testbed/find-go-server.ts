import { execFile, spawn } from 'node:child_process'
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { isExecutable, onPath } from './executable.js'
import { cacheFolder } from './find-mongod.js'

const run = promisify(execFile)

/** Whoever builds touches the lock this often; one left alone for longer has no builder any more (milliseconds). */
const TOUCH_EVERY = 5_000
const ABANDONED_AFTER = 60_000
const LONGEST_BUILD = 40 * 60_000

export interface FindServerOptions {
  /** Told in one line what is being done when it takes longer. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
}

/** A server that comes as a Go module. */
export interface GoServer {
  /** As people call it. */
  readonly title: string
  /** Name of its program. */
  readonly program: string
  readonly module: string
  /** Environment variable with its path. */
  readonly variable: string
  /** Arguments with which it ends at once, successfully. */
  readonly probe: readonly string[]
}

/**
 * The path of a server that runs on this machine. Tried in this order: its variable, `PATH`, the cache folder (that of
 * `findMongod`), and a build by `go install` into the cache folder, which takes some minutes and is done by one process at
 * a time.
 *
 * @throws Error that names every way and why it did not work; its first line is a reason to skip tests with
 */
export async function findGoServer(server: GoServer, options: FindServerOptions = {}): Promise<string> {
  const { title, program, variable } = server
  const env = options.env ?? process.env
  const asked = env[variable]
  if (asked) {
    const fault = await faultOf(asked, server)
    // A binary that was asked for by name is never replaced by another one in silence.
    if (fault !== undefined) throw new Error(`${variable}=${asked} is no usable ${program}: ${fault}`)
    return asked
  }
  const cache = cacheFolder(env)
  const cached = join(cache, program)
  for (const path of [await onPath(program, env), cached]) {
    if (path !== undefined && (await isExecutable(path)) && (await faultOf(path, server)) === undefined) return path
  }
  const go = await onPath('go', env)
  if (go === undefined) {
    throw new Error(
      `no Go, and no ${title}: put ${program} on PATH, set ${variable} to its path, or install Go to build it (looked at ${variable}, PATH, ${cached})`,
    )
  }
  await mkdir(cache, { recursive: true })
  return build(server, { go, cache, target: cached }, options.onProgress ?? (() => undefined), env)
}

/** Builds it once for all processes that ask at the same time. */
async function build(
  server: GoServer,
  { go, cache, target }: { readonly go: string; readonly cache: string; readonly target: string },
  progress: (line: string) => void,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const { title, program, module } = server
  const lock = join(cache, `.${program}.lock`)
  for (let told = false; !(await taken(lock)); told = true) {
    if (!told) progress(`waiting for another process that builds ${title} (${lock})`)
    await sleep(500)
    if (await isExecutable(target)) return target
  }
  const touching = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), TOUCH_EVERY)
  const scratch = join(cache, `.build-${program}-${process.pid}`)
  try {
    if (await isExecutable(target)) return target
    progress(`building ${title} with ${go} install ${module} into ${cache}: some minutes, once`)
    await install(go, server, { ...env, GOBIN: scratch })
    const fault = await faultOf(join(scratch, program), server)
    if (fault !== undefined) throw new Error(`the ${title} that Go has built does not run: ${fault}`)
    // Atomic, so that nobody finds half a file.
    await rename(join(scratch, program), target)
    return target
  } finally {
    clearInterval(touching)
    await rm(scratch, { recursive: true, force: true })
    await rm(lock, { force: true })
  }
}

/** Whether the lock is ours now. */
async function taken(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx')
    await file.writeFile(String(process.pid))
    await file.close()
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error
  }
  const found = await stat(lock).catch(() => undefined)
  if (found === undefined || Date.now() - found.mtimeMs < ABANDONED_AFTER) return false
  const builder = await readFile(lock, 'utf8').catch(() => '')
  // Only the lock that was looked at: another process may have taken it over meanwhile.
  const now = await readFile(lock, 'utf8').catch(() => undefined)
  if (now === builder) await rm(lock, { force: true })
  return false
}

async function install(go: string, { title, module }: GoServer, env: NodeJS.ProcessEnv): Promise<void> {
  // Others work on this machine, too.
  const child = spawn('nice', [go, 'install', module], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: LONGEST_BUILD,
  })
  let tail = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-2000)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0)
    throw new Error(`no ${title}: go install ${module} fails: ${tail.trim().split('\n').slice(-3).join(' ')}`)
}

async function faultOf(path: string, { probe }: GoServer): Promise<string | undefined> {
  try {
    await run(path, [...probe], { timeout: 60_000 })
    return undefined
  } catch (error) {
    return String((error as Error).message).split('\n')[0]
  }
}
