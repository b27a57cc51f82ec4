import { join } from 'node:path'
import { isThere, unpackPackages } from './debian-package.js'
import { onPath } from './executable.js'
import { cacheFolder } from './find-mongod.js'

const LIBRARY = 'faketime/libfaketimeMT.so.1'
const SYSTEM_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib', '/usr/local/lib']

/**
 * The library of libfaketime, which gives a process another clock. Tried in this order: `FAKETIME_LIBRARY`, the usual
 * folders, the cache folder (that of `findMongod`), and Debian's package, which is unpacked there.
 *
 * @throws Error whose first line is a reason to skip tests with
 */
export async function findFaketime(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  if (env.FAKETIME_LIBRARY) {
    if (await isThere(env.FAKETIME_LIBRARY)) return env.FAKETIME_LIBRARY
    throw new Error(`FAKETIME_LIBRARY=${env.FAKETIME_LIBRARY} is not there`)
  }
  const unpacked = join(cacheFolder(env), 'faketime')
  const cached = SYSTEM_FOLDERS.map((folder) => join(unpacked, folder, LIBRARY))
  for (const path of [...SYSTEM_FOLDERS.map((folder) => join(folder, LIBRARY)), ...cached]) {
    if (await isThere(path)) return path
  }
  if (process.platform !== 'linux' || (await onPath('apt-get', env)) === undefined) {
    throw new Error(
      'no libfaketime, and no apt-get to get it: install faketime, or set FAKETIME_LIBRARY to its library',
    )
  }
  const [proof = ''] = cached
  await unpackPackages(['libfaketime'], unpacked, proof, env).catch((error: unknown) => {
    throw new Error(`no libfaketime: ${(error as Error).message.split('\n')[0]}`, { cause: error })
  })
  for (const path of cached) if (await isThere(path)) return path
  throw new Error(`no libfaketime: its package has no ${LIBRARY}`)
}

/** The environment of a process whose clock is wrong by `offset`: `+3h`, `-90m`. What it waits for takes as long as ever. */
export function otherClock(library: string, offset: string): NodeJS.ProcessEnv {
  return { LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' }
}
