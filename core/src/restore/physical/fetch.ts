import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pLimit from 'p-limit'
import { Tally } from '../../archive/tally.js'
import { layoutOf } from '../../backup/physical/layout.js'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { decodeFileList, fileObject, type ListedFile, readEntry } from '../../store/layout/file-list.js'
import { filelistName } from '../../store/layout/names.js'
import { hasFilelistFile } from '../../store/layout/pbm-version.js'
import { damaged, objectError, type ReadStoredOptions, readObject } from '../data/stored-objects.js'
import { makeWay, syncFolder } from './folders.js'
import { refuseUnfitFiles } from './unfit-files.js'

/** Fetched at a time. */
export const DEFAULT_PARALLEL_FILES = 4
/** Bytes of a list of files: a hundred thousand collections have less. */
const LONGEST_LIST = 512 * 1024 * 1024

export interface FetchOptions {
  readonly store: ObjectStore
  readonly backup: BackupDocument
  readonly part: BackupReplset
  readonly compression: CompressionPlugin
  readonly signal: AbortSignal
}

/** Throws BACKUP_DAMAGED, BACKUP_OBJECT_MISSING and FILE_LIST_INVALID. */
export async function readFileList(options: FetchOptions): Promise<ListedFile[]> {
  const files = await readAnyFileList(options)
  refuseUnfitFiles(files, layoutOf(options.part.mongod_opts))
  return files
}

/** Bytes on the disk. */
export function totalSize(files: readonly ListedFile[]): number {
  return files.reduce((sum, { fileSize }) => sum + fileSize, 0)
}

/** The same of increments, too, whose files are in other backups. */
export async function readAnyFileList(options: FetchOptions): Promise<ListedFile[]> {
  const { backup, part } = options
  const files = hasFilelistFile(backup.pbm_version) ? await readStoredList(options) : (part.files ?? []).map(readEntry)
  if (files.length === 0) throw damaged(`The list of files of ${part.name} names none`)
  return files
}

async function readStoredList({ store, backup, part, signal }: FetchOptions): Promise<ListedFile[]> {
  const object = filelistName(backup.name, part.name)
  return await readStoredFileList(store, object, {
    signal,
    crc: part.objects?.find(({ name }) => name === object)?.crc,
  })
}

/** An object that is a list of files. Throws as {@link readAnyFileList}. */
export async function readStoredFileList(
  store: ObjectStore,
  object: string,
  { signal, crc }: { readonly signal: AbortSignal; readonly crc?: string | undefined },
): Promise<ListedFile[]> {
  const tally = new Tally()
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of tally.through(await store.read(object, { signal }))) {
      if (tally.size > LONGEST_LIST) throw damaged(`${object} is too large for a list of files`)
      chunks.push(chunk)
    }
    if (crc !== undefined && crc !== tally.crcText()) throw damaged(`${object} is altered: its checksum is wrong`)
    const files: ListedFile[] = []
    for await (const file of decodeFileList(bodiesOf(chunks))) files.push(file)
    return files
  } catch (error) {
    throw objectError(error, object)
  }
}

async function* bodiesOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

export interface FetchTarget {
  readonly folder: string
  readonly parallel: number
  readonly progress: ProgressPublisher | undefined
}

/** Brings all files into a folder, each with its checksum looked at where the backup has one. Nothing else is touched. */
export async function fetchFiles(
  options: FetchOptions,
  files: readonly ListedFile[],
  { folder, parallel, progress }: FetchTarget,
): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const limit = pLimit(Math.max(1, parallel))
  const largestFirst = files.toSorted((a, b) => b.fileSize - a.fileSize)
  const results = await Promise.allSettled(
    largestFirst.map((file) =>
      limit(async () => {
        signal.throwIfAborted()
        await fetchFile({ ...options, signal }, file, folder, progress)
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
function foldersOf(files: readonly ListedFile[]): Set<string> {
  const found = new Set(['.'])
  for (const { filename } of files) for (let at = dirname(filename); !found.has(at); at = dirname(at)) found.add(at)
  return found
}

async function fetchFile(
  { store, backup, part, compression, signal }: FetchOptions,
  file: ListedFile,
  folder: string,
  progress: ProgressPublisher | undefined,
): Promise<void> {
  const object = fileObject(backup.name, part.name, file, compression.suffix)
  const path = join(folder, file.filename)
  await makeWay(path)
  // A file may come in several parts. Nobody but its user and his group ever needs one.
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT, (file.mode & 0o660) | 0o600)
  try {
    let at = file.offset
    for await (const bytes of readFilePart(store, { object, file, compression }, { signal })) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
        done += bytesWritten
      }
      at += bytes.length
      progress?.add(0, bytes.length)
    }
    if (file.fileSize > 0) await handle.truncate(file.fileSize)
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
