import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { MongoClient, Timestamp } from 'mongodb'
import pLimit from 'p-limit'
import { Tally } from '../../archive/tally.js'
import type { StoredObject } from '../../control/backup-document.js'
import type { BackupCommand } from '../../control/command-document.js'
import type { OperationLog } from '../../log.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { encodeFileList, fileObject, type ListedFile } from '../../store/layout/file-list.js'
import { filelistName } from '../../store/layout/names.js'
import { FALLBACK_FOLDER } from '../../store/layout/namespace-objects.js'
import type { Clock } from '../../time/clock.js'
import { FileClone } from './clone.js'
import { completeCopy } from './complete.js'
import { type DataFile, isClosedFile, listDataFiles, totalSize } from './data-files.js'
import { layoutOf } from './layout.js'
import { newestEntry, requireMajority } from './locked-member.js'
import { whileLocked } from './watchdog.js'

export interface PhysicalPartOptions {
  readonly node: MongoClient
  /** Of the mongod beside this agent, with the credentials. */
  readonly uri: string
  readonly server: ServerOptions
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly level: number | undefined
  readonly log: OperationLog
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly progress: ProgressPublisher
  readonly command: BackupCommand
  readonly replset: string
  /** Milliseconds; undefined for no limit. */
  readonly maxLockMs: number | undefined
  /** Files at once. */
  readonly parallel: number
  /** The store seals: names of objects must tell nothing. */
  readonly sealed: boolean
  /** Of a sharded cluster. */
  readonly cluster?: OnePoint | undefined
}

/** How the copies of all replica sets become one of one time. */
export interface OnePoint {
  /** Resolves when all may be locked: at the same moment. */
  ready(): Promise<void>
  /** Told the last write of this copy, gives the time that all of them are to have: no earlier than any. */
  agree(lastWrite: Timestamp): Promise<Timestamp>
}

export interface PhysicalPartResult {
  /** The last write that is in the files. */
  readonly lastWrite: Timestamp
  /** How many files have an object. */
  readonly objects: number
  readonly bytes: number
  readonly uncompressedBytes: number
  /** The list. */
  readonly stored: StoredObject[]
}

const READ_BYTES = 1024 * 1024

/** Copies the files of a member under a lock, and stores the copy (PBM: physical.md §2.3; here without its cursor). */
export async function storeFiles(options: PhysicalPartOptions): Promise<PhysicalPartResult> {
  const { server, signal, log, progress } = options
  const layout = layoutOf(server.mongodOpts)
  const clone = new FileClone(server.dbPath, layout, signal)
  try {
    progress.phase('copy')
    await clone.prepare()
    log.info(clone.isInstant ? 'the file system shares blocks' : 'the file system shares no blocks: files are copied')
    await options.cluster?.ready()
    const { files, lastWrite } = await copyLocked(options, clone)
    await requireMajority(options, lastWrite)
    const end = await options.cluster?.agree(lastWrite)
    if (end === undefined) return { ...(await upload(options, clone.folder, files)), lastWrite }
    progress.phase('oplog')
    await completeCopy({ ...options, folder: clone.folder, top: lastWrite, end })
    const completed = await listDataFiles(clone.folder, layout, isClosedFile)
    const stored = completed.filter(({ size }) => size > 0)
    return { ...(await upload(options, clone.folder, stored)), lastWrite: end }
  } finally {
    await clone.remove().catch((error: unknown) => log.warning(`${clone.folder} can't be removed: ${String(error)}`))
  }
}

async function copyLocked(options: PhysicalPartOptions, clone: FileClone) {
  const { node, uri, server, maxLockMs, log, signal } = options
  let copied: { files: DataFile[]; lastWrite: Timestamp } | undefined
  const lockedMs = await whileLocked({ node, uri, dbPath: server.dbPath, maxLockMs, log, signal }, async (held) => {
    const lastWrite = await newestEntry(node)
    // An empty object would count as a missing one; the server has no empty file that it needs.
    copied = { files: (await clone.take(held)).filter(({ size }) => size > 0), lastWrite }
  })
  if (copied === undefined) throw new Error('unreachable')
  log.info(
    `copied ${copied.files.length} files of ${totalSize(copied.files)} bytes; locked for ${Math.round(lockedMs)} ms`,
  )
  return copied
}

async function upload(options: PhysicalPartOptions, folder: string, files: readonly DataFile[]) {
  const { store, command, replset, progress, parallel } = options
  progress.phase('files', { bytes: totalSize(files), documents: 0 })
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const limit = pLimit(Math.max(1, parallel))
  const listed: ListedFile[] = new Array(files.length)
  const largestFirst = files.map((file, index) => ({ file, index })).sort((a, b) => b.file.size - a.file.size)
  const results = await Promise.allSettled(
    largestFirst.map(({ file, index }) =>
      limit(async () => {
        signal.throwIfAborted()
        listed[index] = await uploadFile({ ...options, signal }, join(folder, file.path), entryOf(file, index, options))
      }).catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    ),
  )
  // Nobody may write when the caller deletes what was written.
  for (const result of results) if (result.status === 'rejected') throw signal.reason ?? result.reason
  const list = encodeFileList(listed)
  const name = filelistName(command.name, replset)
  await store.save(name, bodyOf(list), { signal })
  const tally = new Tally()
  tally.add(list)
  return {
    objects: listed.filter(({ fileSize }) => fileSize > 0).length,
    bytes: listed.reduce((sum, { storedSize }) => sum + storedSize, list.length),
    uncompressedBytes: listed.reduce((sum, { fileSize }) => sum + fileSize, list.length),
    stored: [{ name, size: tally.size, crc: tally.crcText() }],
  }
}

function entryOf({ path, size, mode }: DataFile, index: number, { sealed }: PhysicalPartOptions): ListedFile {
  const hidden = sealed ? { object: `${FALLBACK_FOLDER}/${index}` } : {}
  return { filename: path, offset: 0, length: 0, fileSize: size, mode, storedSize: 0, ...hidden }
}

async function uploadFile(options: PhysicalPartOptions, path: string, file: ListedFile): Promise<ListedFile> {
  const { store, compression, level, command, replset, signal, progress } = options
  const [plain, packed] = [new Tally(), new Tally()]
  const counted = async function* () {
    for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES, signal })) {
      const bytes = chunk as Buffer
      plain.add(bytes)
      progress.add(0, bytes.length)
      yield bytes
    }
  }
  const object = fileObject(command.name, replset, file, compression.suffix)
  const body = compression.compress(counted(), level === undefined ? {} : { level })
  const { size } = await store.save(object, packed.through(body), { signal, sizeHint: file.fileSize })
  // As it was read: a server may have made a file longer between the look at it and the lock.
  return { ...file, fileSize: plain.size, storedSize: size, crc: plain.crcText(), storedCrc: packed.crcText() }
}
