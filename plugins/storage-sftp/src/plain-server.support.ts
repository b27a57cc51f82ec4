import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import ssh2, { type AuthContext, type Connection, type Server, type SFTPWrapper } from 'ssh2'
import { fingerprintOf } from './host-key.js'

const { STATUS_CODE, OPEN_MODE } = ssh2.utils.sftp

export interface PlainServerOptions {
  /** Told by the `password` method, or asked for in a dialogue. */
  readonly password: string
  readonly dialogue?: boolean
}

/** A server of SFTP that knows no extension, as small devices have them, over the files of this machine. */
export class PlainServer {
  /** Methods by which a login was tried. */
  readonly tried: string[] = []
  readonly fingerprint: string
  /** Whether a file can't be renamed so. */
  refuses: (to: string, from: string) => boolean = () => false
  readonly #server: Server
  readonly #connections = new Set<Connection>()

  constructor(options: PlainServerOptions) {
    const { private: key } = ssh2.utils.generateKeyPairSync('ed25519')
    const parsed = ssh2.utils.parseKey(key)
    if (parsed instanceof Error) throw parsed
    this.fingerprint = fingerprintOf(parsed.getPublicSSH())
    this.#server = new ssh2.Server({ hostKeys: [key] }, (connection) => {
      this.#connections.add(connection)
      connection.on('error', () => undefined)
      connection.on('close', () => this.#connections.delete(connection))
      connection.on('authentication', (context) => this.#authenticate(context, options))
      connection.on('session', (accept) => {
        accept().on('sftp', (begin) => serve(begin(), (to, from) => this.refuses(to, from)))
      })
    })
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.end()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #authenticate(context: AuthContext, { password, dialogue = false }: PlainServerOptions): void {
    this.tried.push(context.method)
    if (context.method === 'password' && !dialogue && context.password === password) context.accept()
    else if (context.method !== 'keyboard-interactive' || !dialogue)
      context.reject([dialogue ? 'keyboard-interactive' : 'password'])
    else
      context.prompt({ prompt: 'Password: ', echo: false }, (answers) =>
        answers[0] === password ? context.accept() : context.reject(),
      )
  }
}

type Listed = { path: string; sent: boolean }

function serve(sftp: SFTPWrapper, refuses: (to: string, from: string) => boolean): void {
  const handles = new Map<number, FileHandle | Listed>()
  let next = 0
  const give = (id: number, held: FileHandle | Listed) => {
    const handle = Buffer.alloc(4)
    handle.writeUInt32BE(++next)
    handles.set(next, held)
    sftp.handle(id, handle)
  }
  const file = (handle: Buffer) => handles.get(handle.readUInt32BE()) as FileHandle
  /** Answers with OK, unless `work` has answered, or fails. */
  const answer = (id: number, work: Promise<unknown>) => {
    work.then(
      (done) => done === 'answered' || sftp.status(id, STATUS_CODE.OK),
      (error: NodeJS.ErrnoException) => {
        const missing = error.code === 'ENOENT' || error.code === 'ENOTDIR'
        sftp.status(id, missing ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE)
      },
    )
  }
  const attributes = (id: number, found: Promise<{ mode: number; size: number; mtimeMs: number }>) =>
    answer(
      id,
      found.then(({ mode, size, mtimeMs }) => {
        const time = Math.floor(mtimeMs / 1000)
        sftp.attrs(id, { mode, size, uid: 0, gid: 0, atime: time, mtime: time })
        return 'answered'
      }),
    )
  sftp.on('OPEN', (id, path, flags) => {
    const create = (flags & OPEN_MODE.CREAT) === 0 ? constants.O_RDONLY : constants.O_WRONLY | constants.O_CREAT
    const opened = open(path, create | ((flags & OPEN_MODE.EXCL) === 0 ? 0 : constants.O_EXCL))
    answer(
      id,
      opened.then((held) => {
        give(id, held)
        return 'answered'
      }),
    )
  })
  sftp.on('READ', (id, handle, offset, length) => {
    // Fewer than were asked for, as servers may.
    const bytes = Buffer.alloc(Math.min(length, 10_000))
    answer(
      id,
      file(handle)
        .read(bytes, 0, bytes.length, offset)
        .then(({ bytesRead }) => {
          if (bytesRead === 0) sftp.status(id, STATUS_CODE.EOF)
          else sftp.data(id, bytes.subarray(0, bytesRead))
          return 'answered'
        }),
    )
  })
  sftp.on('WRITE', (id, handle, offset, data) => answer(id, file(handle).write(data, 0, data.length, offset)))
  sftp.on('FSTAT', (id, handle) => attributes(id, file(handle).stat()))
  sftp.on('LSTAT', (id, path) => attributes(id, lstat(path)))
  sftp.on('STAT', (id, path) => attributes(id, stat(path)))
  sftp.on('CLOSE', (id, handle) => {
    const held = handles.get(handle.readUInt32BE())
    answer(id, held !== undefined && 'close' in held ? held.close() : Promise.resolve())
  })
  sftp.on('OPENDIR', (id, path) =>
    answer(
      id,
      readdir(path).then(() => {
        give(id, { path, sent: false })
        return 'answered'
      }),
    ),
  )
  sftp.on('READDIR', (id, handle) => {
    const listed = handles.get(handle.readUInt32BE()) as Listed
    if (listed.sent) return sftp.status(id, STATUS_CODE.EOF)
    listed.sent = true
    const look = async () => {
      const names = await readdir(listed.path)
      const entries = names.map(async (filename) => {
        const { mode, size, mtimeMs } = await lstat(`${listed.path}/${filename}`)
        const time = Math.floor(mtimeMs / 1000)
        return { filename, longname: filename, attrs: { mode, size, uid: 0, gid: 0, atime: time, mtime: time } }
      })
      sftp.name(id, await Promise.all(entries))
      return 'answered'
    }
    answer(id, look())
  })
  sftp.on('REMOVE', (id, path) => answer(id, unlink(path)))
  sftp.on('RMDIR', (id, path) => answer(id, rmdir(path)))
  sftp.on('MKDIR', (id, path) => answer(id, mkdir(path)))
  sftp.on('REALPATH', (id, path) => sftp.name(id, [{ filename: path, longname: path, attrs: {} as never }]))
  sftp.on('RENAME', (id, from, to) => {
    // As the protocol has it: nothing is replaced.
    const there = lstat(to).then(
      () => true,
      () => false,
    )
    answer(
      id,
      there.then((taken) => (taken || refuses(to, from) ? Promise.reject(new Error('is there')) : rename(from, to))),
    )
  })
}
