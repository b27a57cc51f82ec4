import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './find-mongod.js'

const run = promisify(execFile)
/** Not the newest: its packages have to be in every registry. */
const VERSION = '3.35.0'
const INSTALL_TIMEOUT_MS = 20 * 60_000
const MAIN = join('node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js')

export interface FindAzuriteOptions {
  /** Told in one line what is being done when it takes longer. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
}

/**
 * The script of Azurite's blob service, to be run by Node. Tried in this order: `AZURITE_BIN`, the cache folder (that of
 * `findMongod`), and an installation by npm into the cache folder: it is large, and not needed to build this project.
 *
 * @throws Error whose first line is a reason to skip tests with
 */
export async function findAzurite(options: FindAzuriteOptions = {}): Promise<string> {
  const env = options.env ?? process.env
  if (env.AZURITE_BIN) {
    if (await isThere(env.AZURITE_BIN)) return env.AZURITE_BIN
    throw new Error(`AZURITE_BIN=${env.AZURITE_BIN} does not exist`)
  }
  const target = join(cacheFolder(env), `azurite-${VERSION}`)
  const cached = join(target, MAIN)
  if (await isThere(cached)) return cached
  await mkdir(dirname(target), { recursive: true })
  const scratch = await mkdtemp(join(dirname(target), '.azurite-'))
  try {
    options.onProgress?.(`installing azurite ${VERSION} by npm into ${target}: a minute, once`)
    await writeFile(join(scratch, 'package.json'), '{"private":true}')
    // No scripts of somebody else's, and none of the settings of a script of npm that may be running this.
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '--no-save']
    await run('npm', ['install', ...flags, `azurite@${VERSION}`], {
      cwd: scratch,
      env: { ...withoutNpm(env), PATH: [dirname(process.execPath), env.PATH].join(delimiter) },
      timeout: INSTALL_TIMEOUT_MS,
    })
    // Atomic, so that nobody finds half of it; another process may have been faster.
    await rename(scratch, target).catch(async (error: unknown) => {
      if (!(await isThere(cached))) throw error
    })
    return cached
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr || (error as Error).message)
    throw new Error(`no Azurite: npm install azurite@${VERSION} fails: ${said.trim().split('\n')[0]}`, { cause: error })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^npm_(config_(?!registry)|package|lifecycle)/.test(name)),
  )
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
