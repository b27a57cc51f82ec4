import { execFile, spawn } from 'node:child_process'
import { access, constants, mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cacheFolder } from './find-mongod.js'

const run = promisify(execFile)

const MODULE = 'github.com/minio/minio@latest'
/** Whoever builds touches the lock this often; one left alone for longer has no builder any more (milliseconds). */
const TOUCH_EVERY = 5_000
const ABANDONED_AFTER = 60_000
const LONGEST_BUILD = 40 * 60_000

export interface FindMinioOptions {
  /** Told in one line what is being done when it takes longer. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
}

/**
 * The path of a MinIO server that runs on this machine. Tried in this order: `MINIO_BIN`, `PATH`, the cache folder (that of
 * `findMongod`), and a build by `go install` into the cache folder, which takes some minutes and is done by one process at
 * a time.
 *
 * @throws Error that names every way and why it did not work; its first line is a reason to skip tests with
 */
export async function findMinio(options: FindMinioOptions = {}): Promise<string> {
  const env = options.env ?? process.env
  if (env.MINIO_BIN) {
    const fault = await faultOf(env.MINIO_BIN)
    // A binary that was asked for by name is never replaced by another one in silence.
    if (fault !== undefined) throw new Error(`MINIO_BIN=${env.MINIO_BIN} is no usable minio: ${fault}`)
    return env.MINIO_BIN
  }
  const cache = cacheFolder(env)
  const cached = join(cache, 'minio')
  for (const path of [await onPath('minio', env), cached]) {
    if (path !== undefined && (await isExecutable(path)) && (await faultOf(path)) === undefined) return path
  }
  const go = await onPath('go', env)
  if (go === undefined) {
    throw new Error(
      `no Go, and no MinIO: put minio on PATH, set MINIO_BIN to its path, or install Go to build it (looked at MINIO_BIN, PATH, ${cached})`,
    )
  }
  await mkdir(cache, { recursive: true })
  return build(go, cache, cached, options.onProgress ?? (() => undefined), env)
}

/** Builds it once for all processes that ask at the same time. */
async function build(
  go: string,
  cache: string,
  target: string,
  progress: (line: string) => void,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const lock = join(cache, '.minio.lock')
  for (let told = false; !(await taken(lock)); told = true) {
    if (!told) progress(`waiting for another process that builds MinIO (${lock})`)
    await sleep(500)
    if (await isExecutable(target)) return target
  }
  const touching = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), TOUCH_EVERY)
  const scratch = join(cache, `.build-${process.pid}`)
  try {
    if (await isExecutable(target)) return target
    progress(`building MinIO with ${go} install ${MODULE} into ${cache}: some minutes, once`)
    await install(go, { ...env, GOBIN: scratch })
    const fault = await faultOf(join(scratch, 'minio'))
    if (fault !== undefined) throw new Error(`the MinIO that Go has built does not run: ${fault}`)
    // Atomic, so that nobody finds half a file.
    await rename(join(scratch, 'minio'), target)
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

async function install(go: string, env: NodeJS.ProcessEnv): Promise<void> {
  // Others work on this machine, too.
  const child = spawn('nice', [go, 'install', MODULE], {
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
    throw new Error(`no MinIO: go install ${MODULE} fails: ${tail.trim().split('\n').slice(-3).join(' ')}`)
}

async function faultOf(path: string): Promise<string | undefined> {
  try {
    await run(path, ['--version'], { timeout: 60_000 })
    return undefined
  } catch (error) {
    return String((error as Error).message).split('\n')[0]
  }
}

async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder || '.', name)
    if (await isExecutable(path)) return path
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
