import { constants, type FileHandle, lstat, open, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PluginError } from '@pbmkit/core/plugin'
import { mapOrdered, notFound } from '@pbmkit/core/plugin/kit'
import { errnoOf } from './errors.js'
import { linkRefused, requireRoot } from './folders.js'

/** Size and time of an object, refusing links and folders. Zero bytes are let through. */
export async function lookUp(root: string, name: string): Promise<{ size: number; modifiedAt: Date }> {
  const path = join(root, name)
  try {
    await refuseLinks(root, name)
    const found = await lstat(path)
    if (found.isSymbolicLink()) throw linkRefused(path)
    if (!found.isFile()) throw notFound(name)
    return { size: found.size, modifiedAt: found.mtime }
  } catch (error) {
    throw await missing(error, root, name)
  }
}

/** Opens an object for reading. */
export async function openObject(root: string, name: string): Promise<{ file: FileHandle; size: number }> {
  try {
    await refuseLinks(root, name)
    const file = await open(join(root, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const found = await file.stat()
      if (!found.isFile()) throw notFound(name)
      return { file, size: found.size }
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    throw await missing(error, root, name)
  }
}

/** "Not there" is one answer for an object, a folder of it, and a file where a folder should be; a lost mount is not. */
async function missing(error: unknown, root: string, name: string): Promise<unknown> {
  const errno = errnoOf(error)
  if (errno !== 'ENOENT' && errno !== 'ENOTDIR') return error
  await requireRoot(root)
  return notFound(name, error)
}

/** A link among the folders would lead out of the storage, or in circles. */
async function refuseLinks(root: string, name: string): Promise<void> {
  const folder = dirname(join(root, name))
  if (folder !== root && (await realpath(folder)) !== folder) throw linkRefused(folder)
}

/** Blocks that are read while the reader has one: else one of the two would always wait. */
const BLOCKS_AHEAD = 2

/** Streams [first, end) of an open file in blocks. */
export async function* bytesOf(
  file: FileHandle,
  path: string,
  { first, end }: { readonly first: number; readonly end: number },
  blockBytes: number,
): AsyncGenerator<Buffer> {
  const positions = async function* () {
    for (let position = first; position < end; position += blockBytes) yield position
  }
  const sizeAt = (position: number) => Math.min(blockBytes, end - position)
  let position = first
  for await (const block of mapOrdered(positions(), 1 + BLOCKS_AHEAD, (at) => filled(file, at, sizeAt(at)))) {
    const expected = sizeAt(position)
    position += block.length
    if (block.length < expected) {
      const text = `reading ${path}: the file was cut to ${position} bytes while it was read`
      throw new PluginError('STORAGE_UNAVAILABLE', text)
    }
    yield block
  }
}

/** So many bytes from a position on; fewer only where the file ends. */
async function filled(file: FileHandle, position: number, size: number): Promise<Buffer> {
  // A new block each time: it belongs to the reader from here on.
  const block = Buffer.allocUnsafeSlow(size)
  for (let held = 0; held < size; ) {
    const { bytesRead } = await file.read(block, held, size - held, position + held)
    if (bytesRead === 0) return block.subarray(0, held)
    held += bytesRead
  }
  return block
}
