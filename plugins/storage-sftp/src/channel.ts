import ssh2, { type Callback, type Client, type FileEntryWithStats, type SFTPWrapper, type Stats } from 'ssh2'
import { readInPlace } from './read-in-place.js'

export const { STATUS_CODE } = ssh2.utils.sftp
/** Flags of an open file in SFTP's own numbers. */
const { READ, WRITE, CREAT, EXCL } = ssh2.utils.sftp.OPEN_MODE

/** The connection went away under a request: whether it was carried out is not known. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

export interface Attributes {
  readonly size: number
  readonly modifiedAt: Date
  readonly kind: 'file' | 'folder' | 'other'
}

export interface Space {
  readonly freeBytes: number
  /** Infinite where the filesystem does not count them. */
  readonly freeFiles: number
  readonly readOnly: boolean
  readonly maxNameBytes: number
}

export type Extension =
  | 'posix-rename@openssh.com'
  | 'hardlink@openssh.com'
  | 'fsync@openssh.com'
  | 'statvfs@openssh.com'
  | 'copy-data'

/** What ssh2 knows of a server, and keeps to itself. */
interface Internals {
  readonly _extensions?: Readonly<Record<string, string>>
  readonly _maxReadLen?: number
  readonly _maxWriteLen?: number
}

/** What every server has to take (draft-ietf-secsh-filexfer-02 §3). */
const SAFE_BYTES = 32 * 1024
const MOST_BYTES = 256 * 1024

/** SFTP requests as promises. Rejects with `code` as the server gave it, or with {@link ConnectionLost}. */
export class Channel {
  /** Bytes of the largest request. */
  readonly readBytes: number
  readonly writeBytes: number
  readonly #sftp: SFTPWrapper
  readonly #extensions: Readonly<Record<string, string>>
  readonly #waiting = new Set<(error: Error) => void>()
  #lost: Error | undefined

  constructor(client: Client, sftp: SFTPWrapper) {
    this.#sftp = sftp
    const { _extensions = {}, _maxReadLen = SAFE_BYTES, _maxWriteLen = SAFE_BYTES } = sftp as unknown as Internals
    this.#extensions = _extensions
    this.readBytes = Math.min(_maxReadLen, MOST_BYTES)
    this.writeBytes = Math.min(_maxWriteLen, MOST_BYTES)
    // ssh2 never answers requests of a channel that is closed.
    const lose = (error?: Error) => {
      this.#lost ??= new ConnectionLost(error?.message ?? 'the server has closed the connection', { cause: error })
      for (const reject of this.#waiting) reject(this.#lost)
      this.#waiting.clear()
    }
    sftp.on('error', lose)
    sftp.on('close', () => lose())
    sftp.on('end', () => lose())
    client.on('error', lose)
    client.on('close', () => lose())
    client.on('end', () => lose())
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  has(extension: Extension): boolean {
    return this.#extensions[extension] !== undefined
  }

  openRead(path: string): Promise<Buffer> {
    return this.#ask((done) => this.#sftp.open(path, READ, done))
  }

  /** Makes a file that was not there. */
  create(path: string): Promise<Buffer> {
    return this.#ask((done) => this.#sftp.open(path, WRITE | CREAT | EXCL, { mode: 0o644 }, done))
  }

  closeHandle(handle: Buffer): Promise<void> {
    return this.#tell((done) => this.#sftp.close(handle, done))
  }

  /** `bytes` must not change before the promise has settled. At most {@link writeBytes}. */
  write(handle: Buffer, bytes: Buffer, position: number): Promise<void> {
    return this.#tell((done) => this.#sftp.write(handle, bytes, 0, bytes.length, position, done))
  }

  /** All of [position, position + length), less only where the file ends. */
  async read(handle: Buffer, position: number, length: number): Promise<Buffer> {
    const first = await this.#readSome(handle, position, length)
    if (first.length === length || first.length === 0) return first
    const parts = [first]
    for (let held = first.length; held < length; ) {
      const part = await this.#readSome(handle, position + held, length - held)
      if (part.length === 0) break
      parts.push(part)
      held += part.length
    }
    return Buffer.concat(parts)
  }

  /** At most `length` bytes, none at the end of the file. */
  #readSome(handle: Buffer, position: number, length: number): Promise<Buffer> {
    return this.#ask<Buffer>((done) => readInPlace(this.#sftp, handle, position, length, done)).catch(
      (error: unknown) => {
        if (statusOf(error) === STATUS_CODE.EOF) return Buffer.alloc(0)
        throw error
      },
    )
  }

  async attributesOf(handle: Buffer): Promise<Attributes> {
    return attributes(await this.#ask((done) => this.#sftp.fstat(handle, done)))
  }

  /** Of a link itself, not of what it leads to. */
  async look(path: string): Promise<Attributes> {
    return attributes(await this.#ask((done) => this.#sftp.lstat(path, done)))
  }

  async follow(path: string): Promise<Attributes> {
    return attributes(await this.#ask((done) => this.#sftp.stat(path, done)))
  }

  /** Sets both times, so that a file shows that somebody writes it. */
  touch(handle: Buffer, now: Date): Promise<void> {
    return this.#tell((done) => this.#sftp.futimes(handle, now, now, done))
  }

  openFolder(path: string): Promise<Buffer> {
    return this.#ask((done) => this.#sftp.opendir(path, done))
  }

  /** Some more of a folder's entries; `undefined` at the end. */
  async entries(handle: Buffer): Promise<(Attributes & { readonly name: string })[] | undefined> {
    try {
      const listed = await this.#ask<FileEntryWithStats[]>((done) => this.#sftp.readdir(handle, done))
      return listed.map(({ filename, attrs }) => ({ name: filename, ...attributes(attrs) }))
    } catch (error) {
      if (statusOf(error) === STATUS_CODE.EOF) return undefined
      throw error
    }
  }

  makeFolder(path: string): Promise<void> {
    return this.#tell((done) => this.#sftp.mkdir(path, { mode: 0o755 }, done))
  }

  removeFolder(path: string): Promise<void> {
    return this.#tell((done) => this.#sftp.rmdir(path, done))
  }

  remove(path: string): Promise<void> {
    return this.#tell((done) => this.#sftp.unlink(path, done))
  }

  realPath(path: string): Promise<string> {
    return this.#ask((done) => this.#sftp.realpath(path, done))
  }

  /** Fails where something is called so already, on servers that keep to the protocol. */
  rename(from: string, to: string): Promise<void> {
    return this.#tell((done) => this.#sftp.rename(from, to, done))
  }

  /** Replaces atomically. */
  posixRename(from: string, to: string): Promise<void> {
    return this.#tell((done) => this.#sftp.ext_openssh_rename(from, to, done))
  }

  hardLink(from: string, to: string): Promise<void> {
    return this.#tell((done) => this.#sftp.ext_openssh_hardlink(from, to, done))
  }

  sync(handle: Buffer): Promise<void> {
    return this.#tell((done) => this.#sftp.ext_openssh_fsync(handle, done))
  }

  copyData(from: Buffer, to: Buffer, position: number, length: number): Promise<void> {
    return this.#tell((done) => this.#sftp.ext_copy_data(from, position, length, to, position, done))
  }

  async space(path: string): Promise<Space> {
    const found: Readonly<Record<string, number | bigint | undefined>> = await this.#ask((done) =>
      this.#sftp.ext_openssh_statvfs(path, done),
    )
    const number = (name: string) => Number(found[name] ?? 0)
    return {
      freeBytes: number('f_bavail') * number('f_frsize'),
      freeFiles: number('f_files') === 0 ? Number.POSITIVE_INFINITY : number('f_favail'),
      readOnly: (number('f_flag') & 1) !== 0,
      maxNameBytes: number('f_namemax'),
    }
  }

  #tell(send: (done: Callback) => void): Promise<void> {
    return this.#ask<undefined>((done) => send((error) => done(error ?? undefined, undefined)))
  }

  #ask<T>(send: (done: (error: Error | undefined, value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost)
      this.#waiting.add(reject)
      send((error, value) => {
        this.#waiting.delete(reject)
        if (error === undefined || error === null) resolve(value)
        // Told by ssh2 of all that waits when a connection ends.
        else reject(statusOf(error) === undefined ? new ConnectionLost(error.message, { cause: error }) : error)
      })
    })
  }
}

/** The status code of an answer; `undefined` for any other error. */
export function statusOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return error instanceof Error && typeof code === 'number' ? code : undefined
}

function attributes(stats: Pick<Stats, 'size' | 'mtime' | 'mode'>): Attributes {
  const type = (stats.mode ?? 0) & 0o170000
  const kind = type === 0o100000 ? 'file' : type === 0o040000 ? 'folder' : 'other'
  return { size: stats.size ?? 0, modifiedAt: new Date((stats.mtime ?? 0) * 1000), kind }
}
