import { delimiter, join } from 'node:path'
import { unpackPackages } from './debian-package.js'
import { firstExecutable, isExecutable } from './executable.js'
import { cacheFolder } from './find-mongod.js'

/** Where servers are kept, and rarely on the PATH of users. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin']

export interface FindSshdOptions {
  /** Told in one line what is being done when it takes longer. */
  readonly onProgress?: (line: string) => void
  readonly env?: NodeJS.ProcessEnv
}

/** OpenSSH's server, and what belongs to it. */
export interface Sshd {
  readonly path: string
  readonly keygen: string
  /** Folder that the package was unpacked into, where it is not installed. */
  readonly unpackedIn: string | undefined
}

/**
 * An OpenSSH server that runs on this machine. Tried in this order: `SSHD_BIN`, `PATH` and the usual folders, the cache
 * folder (that of `findMongod`), and Debian's package, which is downloaded by `apt-get` and unpacked in the cache folder:
 * nothing is installed and no server of the machine started, and it needs no rights.
 *
 * @throws Error that names every way and why it did not work; its first line is a reason to skip tests with
 */
export async function findSshd(options: FindSshdOptions = {}): Promise<Sshd> {
  const env = options.env ?? process.env
  const folders = [...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...SYSTEM_FOLDERS]
  const unpacked = join(cacheFolder(env), 'sshd')
  const keygen = await firstExecutable([
    ...folders.map((folder) => join(folder, 'ssh-keygen')),
    join(unpacked, 'usr/bin/ssh-keygen'),
  ])
  if (env.SSHD_BIN) {
    // A program that was asked for by name is never replaced by another one in silence.
    if (keygen === undefined || !(await isExecutable(env.SSHD_BIN)))
      throw new Error(`SSHD_BIN=${env.SSHD_BIN} is no program, or there is no ssh-keygen`)
    return { path: env.SSHD_BIN, keygen, unpackedIn: undefined }
  }
  const installed = await firstExecutable(folders.map((folder) => join(folder, 'sshd')))
  if (installed !== undefined && keygen !== undefined) return { path: installed, keygen, unpackedIn: undefined }
  const cached = join(unpacked, 'usr/sbin/sshd')
  if (!(await isExecutable(cached))) {
    const looked = `looked at SSHD_BIN, PATH, ${SYSTEM_FOLDERS.join(', ')}, ${cached}`
    if ((await firstExecutable(folders.map((folder) => join(folder, 'apt-get')))) === undefined)
      throw new Error(
        `no OpenSSH server, and no apt-get to get it: install sshd, or set SSHD_BIN to its path (${looked})`,
      )
    options.onProgress?.(`downloading Debian's openssh-server and unpacking it in ${unpacked}`)
    await unpackPackages(['openssh-server', 'openssh-client'], unpacked, cached, env).catch((error: unknown) => {
      throw new Error(`no OpenSSH server: ${(error as Error).message.split('\n')[0]} (${looked})`, { cause: error })
    })
  }
  const found = keygen ?? (await firstExecutable([join(unpacked, 'usr/bin/ssh-keygen')]))
  if (found === undefined) throw new Error('no OpenSSH server: there is no ssh-keygen')
  return { path: cached, keygen: found, unpackedIn: unpacked }
}
