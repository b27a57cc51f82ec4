import { constants, type FileHandle, lstat, open, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PluginError, type ReadOptions } from '@pbmkit/core/plugin'
import { mapOrdered } from '@pbmkit/core/plugin/kit'
import { errnoOf, translated } from './errors.js'
import { linkRefused, requireRoot } from './folders.js'
import type { Operation } from './operation.js'

export function notFound(name: string, cause?: unknown): PluginError {
  return new PluginError('STORAGE_NOT_FOUND', `there is no object ${JSON.stringify(name)}`, { cause })
}

function empty(name: string): PluginError {
  return new PluginError('STORAGE_EMPTY', `the object ${JSON.stringify(name)} is empty`)
}

/** Size and time of an object, refusing links and folders. Zero bytes are let through; see {@link requireBytes}. */
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

export function requireBytes(name: string, size: number): void {
  if (size === 0) throw empty(name)
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

/** The bytes asked for, [first, end). Throws STORAGE_INVALID_RANGE. */
export function rangeOf(
  name: string,
  size: number,
  { offset = 0, length }: ReadOptions,
): { first: number; end: number } {
  const whole = (value: number) => Number.isInteger(value) && value >= 0
  if (
    !whole(offset) ||
    offset >= size ||
    (length !== undefined && length !== Number.POSITIVE_INFINITY && !(whole(length) && length > 0))
  ) {
    const asked = `${length ?? 'all'} bytes from byte ${offset}`
    throw new PluginError(
      'STORAGE_INVALID_RANGE',
      `the object ${JSON.stringify(name)} has ${size} bytes; asked for ${asked}`,
    )
  }
  return { first: offset, end: Math.min(size, offset + (length ?? size)) }
}

/** Blocks that are read while the reader has one: else one of the two would always wait. */
const BLOCKS_AHEAD = 2

/** Streams [first, end) of an open file in blocks and closes it, however the iteration ends. */
export async function* bytesOf(
  file: FileHandle,
  path: string,
  range: { first: number; end: number },
  blockBytes: number,
  operation: Operation,
  onProgress: ((bytesSoFar: number) => void) | undefined,
  onDone?: () => void,
): AsyncGenerator<Buffer> {
  const positions = async function* () {
    for (let position = range.first; position < range.end; position += blockBytes) {
      operation.check()
      yield position
    }
  }
  const sizeAt = (position: number) => Math.min(blockBytes, range.end - position)
  try {
    let position = range.first
    for await (const block of mapOrdered(positions(), 1 + BLOCKS_AHEAD, (at) => filled(file, at, sizeAt(at)))) {
      operation.check()
      const expected = sizeAt(position)
      position += block.length
      if (block.length < expected) {
        const text = `reading ${path}: the file was cut to ${position} bytes while it was read`
        throw new PluginError('STORAGE_UNAVAILABLE', text)
      }
      onProgress?.(position - range.first)
      yield block
    }
  } catch (error) {
    operation.check()
    throw translated(error, path, 'reading')
  } finally {
    onDone?.()
    await file.close()
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
