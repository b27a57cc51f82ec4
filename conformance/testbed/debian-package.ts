import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const DOWNLOAD_TIMEOUT_MS = 300_000

/**
 * Downloads packages with what they need and unpacks them in the folder `target`, which then has the file `proof`. Nothing
 * is installed or started, and it needs no rights.
 */
export async function unpackPackages(
  packages: readonly string[],
  target: string,
  proof: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const cache = join(target, '..')
  await mkdir(cache, { recursive: true })
  const scratch = await mkdtemp(join(cache, '.debian-'))
  const [state, archives, root] = ['state', 'archives', 'root'].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ]
  try {
    await mkdir(join(state, 'lists/partial'), { recursive: true })
    await mkdir(join(archives, 'partial'), { recursive: true })
    await mkdir(root)
    // Lists and packages of our own: those of the system need its rights, and may be missing in a container.
    const places = ['-o', `Dir::State::lists=${state}/lists`, '-o', `Dir::Cache::archives=${archives}`]
    const own = [...places, '-o', `Dir::Cache::pkgcache=`, '-o', 'Dir::Cache::srcpkgcache=', '-o', 'Debug::NoLocking=1']
    const apt = (...args: string[]) =>
      run('apt-get', [...own, '-qq', '-y', ...args], { env, timeout: DOWNLOAD_TIMEOUT_MS })
    await apt('update')
    await apt('--no-install-recommends', '--download-only', 'install', ...packages)
    for (const name of await readdir(archives)) {
      if (name.endsWith('.deb')) await run('dpkg-deb', ['-x', join(archives, name), root], { env })
    }
    await rm(join(root, 'usr/share'), { recursive: true, force: true })
    // Atomic, so that nobody finds half of it; another process may have been faster.
    await rename(root, target).catch(async (error: unknown) => {
      if (!(await isThere(proof))) throw error
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
