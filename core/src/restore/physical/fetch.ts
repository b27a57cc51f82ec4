import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pLimit from 'p-limit'
import { Tally } from '../../archive/tally.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { ListedFile } from '../../store/layout/file-list.js'
import { damaged, type ReadStoredOptions, readObject } from '../data/stored-objects.js'
import { makeWay, syncFolder } from './folders.js'
import { objectOf, type PlannedFile } from './planned-files.js'

/** Fetched at a time. */
export const DEFAULT_PARALLEL_FILES = 4

export interface FetchTarget {
  readonly folder: string
  readonly parallel: number
  readonly progress: ProgressPublisher | undefined
  readonly signal: AbortSignal
}

/** Brings all files into a folder, each with its checksum looked at where the backup has one. Nothing else is touched. */
export async function fetchFiles(files: readonly PlannedFile[], target: FetchTarget): Promise<void> {
  const { folder, parallel } = target
  const failed = new AbortController()
  const signal = AbortSignal.any([target.signal, failed.signal])
  const limit = pLimit(Math.max(1, parallel))
  const largestFirst = files.toSorted((a, b) => b.fileSize - a.fileSize)
  const results = await Promise.allSettled(
    largestFirst.map((file) =>
      limit(async () => {
        signal.throwIfAborted()
        await fetchFile(file, { ...target, signal })
      }).catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    ),
  )
  for (const result of results) if (result.status === 'rejected') throw signal.reason ?? result.reason
  for (const made of foldersOf(files)) await syncFolder(join(folder, made))
}

/** All that files are in, the folder of all, `.`, too. */
function foldersOf(files: readonly PlannedFile[]): Set<string> {
  const found = new Set(['.'])
  for (const { filename } of files) for (let at = dirname(filename); !found.has(at); at = dirname(at)) found.add(at)
  return found
}

async function fetchFile(
  { filename, fileSize, mode, pieces }: PlannedFile,
  { folder, progress, signal }: FetchTarget,
): Promise<void> {
  const path = join(folder, filename)
  await makeWay(path)
  // Nobody but its user and his group ever needs one.
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, (mode & 0o660) | 0o600)
  try {
    for (const piece of pieces) {
      signal.throwIfAborted()
      const { from, file } = piece
      const stored = { object: objectOf(piece), file, compression: from.compression }
      let at = file.offset
      for await (const bytes of readFilePart(from.store, stored, { signal })) {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
          done += bytesWritten
        }
        at += bytes.length
        progress?.add(0, bytes.length)
      }
    }
    if (fileSize > 0) await handle.truncate(fileSize)
    await handle.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

export interface StoredFile {
  readonly object: string
  readonly file: ListedFile
  readonly compression: CompressionPlugin
}

/** What is stored of a file; throws BACKUP_DAMAGED, at the latest behind the last byte, where it is not what the list says. */
export async function* readFilePart(
  store: ObjectStore,
  { object, file, compression }: StoredFile,
  { onStored, ...call }: ReadStoredOptions,
): AsyncGenerator<Uint8Array> {
  const [plain, packed] = [new Tally(), new Tally()]
  const most = file.length > 0 ? file.length : file.fileSize
  const seen = (chunk: Uint8Array) => {
    packed.add(chunk)
    onStored?.(chunk)
  }
  for await (const bytes of readObject(store, object, compression, { ...call, onStored: seen })) {
    plain.add(bytes)
    if (plain.size > most) throw damaged(`${object} has more than ${most} bytes`)
    yield bytes
  }
  // Of a part that goes up to the end of its file, less may be stored (PBM: physical.md §2.3).
  const least = file.length > 0 ? Math.min(file.length, file.fileSize - file.offset) : file.fileSize
  if (plain.size < least) throw damaged(`${object} has ${plain.size} bytes instead of ${least}`)
  if (file.crc !== undefined && file.crc !== plain.crcText())
    throw damaged(`${object} is altered: its checksum is wrong`)
  if (file.storedCrc !== undefined && file.storedCrc !== packed.crcText()) {
    throw damaged(`${object} is altered: the checksum of what is stored is wrong`)
  }
}
