import { close, constants, fstatSync, mkdirSync, openSync, write } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { promisify } from 'node:util'

/** Where lines of the log go. */
export interface LogOutput {
  /** Resolves with how many bytes were taken, or never; rejects where none can be. */
  write(bytes: Buffer): Promise<number>
  close(): Promise<void>
}

/** Appends to a file, whose folders are made. Throws what the file system says where it can't be opened. */
export function fileOutput(path: string): LogOutput {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants
  // A named pipe that nobody reads would keep who opens it.
  const fd = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o600)
  return descriptorOutput(fd, () => promisify(close)(fd))
}

/** Standard output or error, of which the system decides what it is. */
export function standardOutput(fd: 1 | 2): LogOutput {
  const stats = fstatSync(fd)
  // As a stream, a file is written to synchronously.
  if (!stats.isFIFO() && !stats.isSocket() && !isatty(fd)) return descriptorOutput(fd, async () => undefined)
  return streamOutput(fd === 1 ? process.stdout : process.stderr)
}

function descriptorOutput(fd: number, closeIt: () => Promise<void>): LogOutput {
  const put = promisify(write)
  return { write: async (bytes) => (await put(fd, bytes)).bytesWritten, close: closeIt }
}

function streamOutput(stream: Writable): LogOutput {
  // Whoever reads it may go away: the callback tells as well.
  stream.on('error', () => undefined)
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve(bytes.length)))
      }),
    close: async () => undefined,
  }
}
