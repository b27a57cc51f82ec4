import { join } from 'node:path'
import pLimit from 'p-limit'
import { Tally } from '../../archive/tally.js'
import type { StoredObject } from '../../control/backup-document.js'
import type { BackupCommand } from '../../control/command-document.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { encodeFileList, fileObject, type ListedFile, storedPlainSize } from '../../store/layout/file-list.js'
import { blockIndexName, filelistName } from '../../store/layout/names.js'
import { FALLBACK_FOLDER } from '../../store/layout/namespace-objects.js'
import { BLOCK_BYTES, hashesOf } from './block-hash.js'
import type { BlockIndex } from './block-index.js'
import type { Blocks } from './blocks.js'
import { changedRanges, type Range } from './changed-ranges.js'
import type { DataFile, FileStamp } from './data-files.js'
import { readRange } from './read-range.js'

export interface UploadOptions {
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly level: number | undefined
  readonly signal: AbortSignal
  readonly progress: ProgressPublisher
  readonly command: BackupCommand
  readonly replset: string
  /** Files at once. */
  readonly parallel: number
  /** The store seals: names of objects must tell nothing. */
  readonly sealed: boolean
  /** Of the copy. */
  readonly folder: string
  /** Of an incremental backup. */
  readonly blocks?: Blocks | undefined
}

/** A file of the copy. */
export interface CopiedFile extends Pick<DataFile, 'path' | 'size' | 'mode'> {
  /** Of the one in the dbPath that it is a copy of, where that tells whether it changes. */
  readonly stamp?: FileStamp | undefined
}

export interface UploadedFiles {
  /** How many. */
  readonly objects: number
  readonly bytes: number
  readonly uncompressedBytes: number
  /** The lists. */
  readonly stored: StoredObject[]
  /** Whether some files, or what is left out of them, are those of the backup before. */
  readonly isUpon: boolean
}

/** Ranges are small, and what one costs is mostly waiting. */
const PARALLEL_RANGES = 8

/** Stores the files of a copy, or what has changed of them, and their list. */
export async function uploadFiles(options: UploadOptions, files: readonly CopiedFile[]): Promise<UploadedFiles> {
  const { store, command, replset, progress, parallel, signal, blocks } = options
  const index = await blocks?.begin(files.map(({ path, size, stamp }) => ({ path, size, ...(stamp && { stamp }) })))
  progress.phase('blocks', { bytes: 0, documents: 0 })
  const planned = await each(files.entries(), parallel, signal, ([at, file], failed) =>
    entriesOf({ ...options, signal: failed, index }, file, at),
  )
  const entries = planned.flat()
  const bytes = entries.reduce((sum, entry) => sum + storedPlainSize(entry), 0)
  progress.phase('files', { bytes, documents: 0 })
  const largestFirst = [...entries.entries()].sort(([, a], [, b]) => storedPlainSize(b) - storedPlainSize(a))
  const width = blocks?.before === undefined ? parallel : Math.max(parallel, PARALLEL_RANGES)
  const listed: ListedFile[] = new Array(entries.length)
  await each(largestFirst, width, signal, async ([at, entry], failed) => {
    listed[at] = entry.length < 0 ? entry : await uploadEntry({ ...options, signal: failed, index }, entry)
  })
  const list = encodeFileList(listed)
  const name = filelistName(command.name, replset)
  await store.save(name, bodyOf(list), { signal })
  const tally = new Tally()
  tally.add(list)
  const blockIndex = await blocks?.store(store, blockIndexName(command.name, replset), signal)
  return {
    objects: listed.filter((entry) => storedPlainSize(entry) > 0).length,
    bytes: listed.reduce((sum, { storedSize }) => sum + storedSize, list.length + (blockIndex?.size ?? 0)),
    uncompressedBytes: bytes + list.length + (blockIndex?.size ?? 0),
    stored: [{ name, size: tally.size, crc: tally.crcText() }, ...(blockIndex === undefined ? [] : [blockIndex])],
    isUpon: blocks?.before !== undefined,
  }
}

/** A few at a time. Nobody may write when the caller deletes what was written: all have ended before it rejects. */
async function each<T, R>(
  items: Iterable<T>,
  width: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const limit = pLimit(Math.max(1, width))
  const results = await Promise.allSettled(
    [...items].map((item) =>
      limit(async () => {
        either.throwIfAborted()
        return await work(item, either)
      }).catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    ),
  )
  return results.map((result) => {
    if (result.status === 'rejected') throw either.reason ?? result.reason
    return result.value
  })
}

interface Indexing extends UploadOptions {
  /** That of this backup, where it has one. */
  readonly index: BlockIndex | undefined
}

/** What the list is to have of a file: all of it, its changed ranges, or that it is unchanged. */
async function entriesOf(options: Indexing, file: CopiedFile, at: number): Promise<ListedFile[]> {
  const { folder, sealed, blocks, index: now, signal, progress } = options
  const { path, size, mode, stamp } = file
  const hidden = sealed ? { object: `${FALLBACK_FOLDER}/${at}` } : {}
  const entry = { filename: path, offset: 0, length: 0, fileSize: size, mode, storedSize: 0, ...hidden }
  const before = blocks?.before
  const isNew = before?.find(path) === undefined || size === 0
  if (blocks === undefined || now === undefined || before === undefined || isNew) return [entry]
  const unchanged = [{ ...entry, offset: -1, length: -1 }]
  if (stamp !== undefined && blocks.isStored({ path, stamp })) {
    await now.copy(path, before)
    return unchanged
  }
  const onBytes = (bytes: number) => progress.add(0, bytes)
  const ranges = await changedRanges({ file: join(folder, path), path, size, before, now, signal, onBytes })
  return ranges.length === 0 ? unchanged : ranges.map((range) => ({ ...entry, ...range }))
}

async function uploadEntry(options: Indexing, entry: ListedFile): Promise<ListedFile> {
  const { store, folder, compression, level, command, replset, signal, progress, index } = options
  const { filename, offset, length } = entry
  const range: Range = { offset, length: storedPlainSize(entry) }
  const [plain, packed] = [new Tally(), new Tally()]
  const counted = async function* () {
    let at = 0
    for await (const bytes of readRange(join(folder, filename), range, signal)) {
      plain.add(bytes)
      // Of ranges they are known already.
      if (length === 0) await index?.write(filename, at / BLOCK_BYTES, hashesOf(bytes))
      at += bytes.length
      progress.add(0, bytes.length)
      yield bytes
    }
  }
  const object = fileObject(command.name, replset, entry, compression.suffix)
  const body = compression.compress(counted(), level === undefined ? {} : { level })
  const { size } = await store.save(object, packed.through(body), { signal, sizeHint: range.length })
  return { ...entry, storedSize: size, crc: plain.crcText(), storedCrc: packed.crcText() }
}
