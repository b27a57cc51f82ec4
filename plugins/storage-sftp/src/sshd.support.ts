import { chown, mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { findSshd, orSkip, type SftpServer, type SftpServerOptions, startSftp } from '@pbmkit/conformance/testbed'
import type { ObjectStore, PluginContext } from '@pbmkit/core/plugin'
import plugin, { type SftpOptions } from './index.js'

const ENOUGH = 2 * 1024 ** 3

/** An sshd for the tests of one file. */
export class TestServer {
  readonly #opened: ObjectStore[] = []
  readonly #folders: string[] = []
  #sftp: SftpServer | undefined

  /** Starts it; where none can be had, the tests of this `describe` are skipped and say why. */
  async start(test: Mocha.Context, options: SftpServerOptions = {}): Promise<void> {
    test.timeout(10 * 60_000)
    await orSkip(test, () => findSshd({ onProgress: console.error }))
    this.#sftp = await startSftp(options)
  }

  get sftp(): SftpServer {
    if (this.#sftp === undefined) throw new Error('sshd is not started')
    return this.#sftp
  }

  /** Options of a new folder: in memory where there is room, because thousands of fsyncs take minutes on a busy disk. */
  async folder(more: Partial<SftpOptions> = {}): Promise<SftpOptions> {
    const { uid, folder } = this.sftp
    const path = await mkdtemp(join((await hasRoom('/dev/shm')) ? '/dev/shm' : folder, 'pbmkit-sftp-'))
    await chown(path, uid, -1)
    this.#folders.push(path)
    return { ...this.options(path), ...more }
  }

  options(path: string): SftpOptions {
    const { host, port, username, privateKeyFile, fingerprint } = this.sftp
    return { host, port, username, path, privateKeyFile, hostKeyFingerprint: fingerprint }
  }

  async open(options: SftpOptions, context: Partial<PluginContext> = {}): Promise<ObjectStore> {
    const store = await plugin.open(options, {
      signal: new AbortController().signal,
      warn: () => undefined,
      ...context,
    })
    this.#opened.push(store)
    return store
  }

  /** Closes the stores of a test and removes its folders. */
  async clear(): Promise<void> {
    for (const store of this.#opened.splice(0)) await store.close()
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true, force: true })
  }

  async stop(): Promise<void> {
    await this.clear()
    await this.#sftp?.stop()
  }
}

async function hasRoom(path: string): Promise<boolean> {
  const found = await statfs(path).catch(() => undefined)
  return found !== undefined && found.bavail * found.bsize > ENOUGH
}
