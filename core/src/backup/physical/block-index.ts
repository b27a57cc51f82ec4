import { type FileHandle, open } from 'node:fs/promises'
import { deserialize, Long, serialize } from 'bson'
import { documentsIn } from '../../bson/documents.js'
import { PbmError } from '../../errors.js'
import { blockCount, HASH_BYTES } from './block-hash.js'
import type { FileStamp } from './data-files.js'

/** A file whose blocks an index has. */
export interface IndexedFile {
  readonly path: string
  readonly size: number
  /** Of the file in the dbPath: while it is the same, so is the content. Absent where that is not certain. */
  readonly stamp?: FileStamp
}

/** Bytes of the part that names the files: a hundred thousand have less. */
const LONGEST_TABLE = 256 * 1024 * 1024
const FORMAT = 1
const NUMBER_BYTES = 8
const COPY_BYTES = 1024 * 1024

interface Placed extends IndexedFile {
  /** Of its hashes. */
  readonly at: number
}

/**
 * The hashes of all blocks of all files of a backup, on disk: there may be too many for the memory. Begins with the format
 * and the length of a table (two integers of 8 bytes), then documents `{path, size, inode?, mtime?}`, then the hashes in the
 * order of the files.
 */
export class BlockIndex {
  readonly #handle: FileHandle
  readonly #files: ReadonlyMap<string, Placed>

  private constructor(handle: FileHandle, files: ReadonlyMap<string, Placed>) {
    this.#handle = handle
    this.#files = files
  }

  /** An index of these files, with hashes that are to be written. */
  static async create(path: string, files: readonly IndexedFile[]): Promise<BlockIndex> {
    const table = Buffer.concat(files.map(entryOf))
    const head = Buffer.alloc(2 * NUMBER_BYTES)
    head.writeBigUInt64LE(BigInt(FORMAT), 0)
    head.writeBigUInt64LE(BigInt(table.length), NUMBER_BYTES)
    const handle = await open(path, 'w+', 0o600)
    const { placed, end } = places(files, head.length + table.length)
    await handle.write(Buffer.concat([head, table]), 0, head.length + table.length, 0)
    await handle.truncate(end)
    return new BlockIndex(handle, placed)
  }

  /** Throws BACKUP_DAMAGED where it is none. */
  static async open(path: string): Promise<BlockIndex> {
    const handle = await open(path, 'r')
    try {
      const head = await readAt(handle, 0, 2 * NUMBER_BYTES)
      const [format, length] = [head.readBigUInt64LE(0), Number(head.readBigUInt64LE(NUMBER_BYTES))]
      if (format !== BigInt(FORMAT)) throw unreadable(`its format is ${format}`)
      if (length > LONGEST_TABLE) throw unreadable('its table is too long')
      const table = await readAt(handle, head.length, length)
      const files = [...documentsIn(table)].map((document) => fileOf(deserialize(document, { useBigInt64: true })))
      const { placed, end } = places(files, head.length + length)
      if ((await handle.stat()).size !== end) throw unreadable('it is cut off, or has too much')
      return new BlockIndex(handle, placed)
    } catch (error) {
      await handle.close()
      if (error instanceof PbmError) throw error
      throw unreadable('it can not be read', error)
    }
  }

  find(path: string): IndexedFile | undefined {
    return this.#files.get(path)
  }

  get paths(): Iterable<string> {
    return this.#files.keys()
  }

  /** The hashes of so many blocks from `block` on; fewer where the file ends. */
  async read(path: string, block: number, count: number): Promise<Buffer> {
    const { at, size } = this.#placeOf(path)
    const there = Math.max(0, Math.min(count, blockCount(size) - block))
    return await readAt(this.#handle, at + block * HASH_BYTES, there * HASH_BYTES)
  }

  async write(path: string, block: number, hashes: Buffer): Promise<void> {
    const { at, size } = this.#placeOf(path)
    if (block * HASH_BYTES + hashes.length > blockCount(size) * HASH_BYTES)
      throw new RangeError(`${path} has no more blocks`)
    let done = 0
    while (done < hashes.length) {
      const { bytesWritten } = await this.#handle.write(
        hashes,
        done,
        hashes.length - done,
        at + block * HASH_BYTES + done,
      )
      done += bytesWritten
    }
  }

  /** Of a file that has not changed since `other` was made. */
  async copy(path: string, other: BlockIndex): Promise<void> {
    const step = COPY_BYTES / HASH_BYTES
    const count = blockCount(this.#placeOf(path).size)
    for (let block = 0; block < count; block += step) await this.write(path, block, await other.read(path, block, step))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  #placeOf(path: string): Placed {
    const file = this.#files.get(path)
    if (file === undefined) throw new RangeError(`${path} is not in the index`)
    return file
  }
}

function places(files: readonly IndexedFile[], start: number): { placed: Map<string, Placed>; end: number } {
  const placed = new Map<string, Placed>()
  let at = start
  for (const file of files) {
    placed.set(file.path, { ...file, at })
    at += blockCount(file.size) * HASH_BYTES
  }
  return { placed, end: at }
}

function entryOf({ path, size, stamp }: IndexedFile): Uint8Array {
  const known = stamp && {
    inode: Long.fromBigInt(BigInt.asIntN(64, stamp.inode)),
    mtime: Long.fromBigInt(stamp.modifiedNs),
  }
  return serialize({ path, size: Long.fromNumber(size), ...known })
}

function fileOf({ path, size, inode, mtime }: Record<string, unknown>): IndexedFile {
  const bytes = Number(size)
  if (typeof path !== 'string' || !Number.isSafeInteger(bytes) || bytes < 0) throw unreadable('an entry is wrong')
  if (typeof inode !== 'bigint' || typeof mtime !== 'bigint') return { path, size: bytes }
  return { path, size: bytes, stamp: { inode: BigInt.asUintN(64, inode), modifiedNs: mtime, size: BigInt(bytes) } }
}

async function readAt(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done)
    if (bytesRead === 0) throw unreadable('it is cut off')
    done += bytesRead
  }
  return bytes
}

function unreadable(what: string, cause?: unknown): PbmError {
  return new PbmError('BACKUP_DAMAGED', `the list of blocks is wrong: ${what}`, { cause })
}
