import { constants, type FileHandle, link, lstat, open, rename, rmdir, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { PluginError } from '@pbmkit/core/plugin'
import { exists, TOUCH_EVERY, temporaryName } from '@pbmkit/core/plugin/kit'
import { errnoOf } from './errors.js'
import { inFolderOf, removeEmptyFolders, requireRoot, syncFolder } from './folders.js'
import type { Modes } from './options.js'

export interface Written {
  readonly size: number
  readonly modifiedAt: Date
}

/**
 * Makes the object `name` out of what `fill` writes into a file of its own: written under a temporary name in the same
 * folder, synced, moved into place, and the folder synced. Whatever fails, the temporary file goes and the old object
 * stays. With `ifAbsent` the place is taken by a hard link, which unlike a rename fails when something is there.
 */
export async function writeObject(
  root: string,
  name: string,
  { ifAbsent, modes }: { readonly ifAbsent: boolean; readonly modes: Modes },
  fill: (file: FileHandle) => Promise<void>,
): Promise<Written> {
  await requireNoFolder(join(root, name))
  const { file, path, folder } = await inFolderOf(root, name, modes.folder, async (folder) => {
    const path = join(folder, temporaryName())
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    return { file: await open(path, flags, modes.file), path, folder }
  }).catch(async (error: unknown) => {
    await removeEmptyFolders(root, name)
    throw error
  })
  // A slow body must not look like one that was left behind to a process on another machine.
  const touching = setInterval(() => void file.utimes(new Date(), new Date()).catch(() => undefined), TOUCH_EVERY)
  touching.unref()
  try {
    let written: Written
    try {
      await fill(file)
      await file.sync()
      const { size, mtime } = await file.stat()
      written = { size, modifiedAt: mtime }
    } finally {
      clearInterval(touching)
      await file.close()
    }
    const target = join(folder, basename(name))
    if (ifAbsent) {
      await takePlace(path, target)
      await removeQuietly(path)
    } else {
      await rename(path, target)
    }
    await syncFolder(folder)
    return written
  } catch (error) {
    await removeQuietly(path)
    await removeEmptyFolders(root, name)
    if (errnoOf(error) !== 'ENOENT') throw error
    await requireRoot(root)
    const text = `writing ${join(root, name)}: the folder or the file was taken away while it was written`
    throw new PluginError('STORAGE_UNAVAILABLE', text, { cause: error })
  }
}

/** Removes a file that may be gone, or may not be ours to remove; cleaning up never makes an operation fail. */
export async function removeQuietly(path: string): Promise<void> {
  await unlink(path).catch(() => undefined)
}

/** A folder can't become an object. An empty one, which an interrupted process left, gives way. */
async function requireNoFolder(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isDirectory() !== true) return
  await rmdir(path).catch((cause: unknown) => {
    const text = `${path} is a folder that holds objects, so no object can be kept under its name`
    throw new PluginError('STORAGE_INVALID_NAME', text, { cause })
  })
}

async function takePlace(path: string, target: string): Promise<void> {
  try {
    await link(path, target)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw exists(target)
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error))) throw error
    const text = `${target}: this filesystem has no hard links, without which "only if absent" can't be kept`
    throw new PluginError('STORAGE_NOT_SUPPORTED', text, { cause: error })
  }
}

/** Writes all of `chunks` from where they are; one system call may take fewer bytes. */
async function writeAll(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  for (let rest = chunks; rest.length > 0; ) {
    const { bytesWritten } = await file.writev(rest)
    rest = behind(rest, bytesWritten)
  }
}

/** What is left of `chunks` behind their first `bytes`. */
export function behind(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes
  for (const [index, chunk] of chunks.entries()) {
    if (left < chunk.length) return [chunk.subarray(left), ...chunks.slice(index + 1)]
    left -= chunk.length
  }
  return []
}

/** Writes chunks of any size in blocks of about `blockBytes`, the next chunk being awaited while a block is written. */
export class BlockWriter {
  readonly #file: FileHandle
  readonly #blockBytes: number
  readonly #onWritten: (bytesSoFar: number) => void
  #pending: Uint8Array[] = []
  #held = 0
  #writing: Promise<void> = Promise.resolve()
  #written = 0

  constructor(file: FileHandle, blockBytes: number, onWritten: (bytesSoFar: number) => void) {
    this.#file = file
    this.#blockBytes = blockBytes
    this.#onWritten = onWritten
  }

  /** Resolves as soon as the next chunk may come: at most one block is being written while another is gathered. */
  async add(chunk: Uint8Array): Promise<void> {
    this.#pending.push(chunk)
    this.#held += chunk.length
    if (this.#held >= this.#blockBytes) await this.#flush()
  }

  async end(): Promise<void> {
    if (this.#held > 0) await this.#flush()
    await this.#writing
  }

  /** Waits for the write under way, whose outcome no longer matters, so that the file can be closed. */
  async abandon(): Promise<void> {
    await this.#writing.catch(() => undefined)
  }

  async #flush(): Promise<void> {
    await this.#writing
    const [block, bytes] = [this.#pending, this.#held]
    this.#pending = []
    this.#held = 0
    this.#writing = writeAll(this.#file, block).then(() => {
      this.#written += bytes
      this.#onWritten(this.#written)
    })
    // Its failure is told by the next flush or the end.
    this.#writing.catch(() => undefined)
  }
}
