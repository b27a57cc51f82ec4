import type { MongoClient, Timestamp } from 'mongodb'
import type { BackupCommand } from '../../control/command-document.js'
import { errorText } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { Clock } from '../../time/clock.js'
import { Blocks, type IncrementSource } from './blocks.js'
import { FileClone, type TakenFile } from './clone.js'
import { completeCopy } from './complete.js'
import { type DataFile, isClosedFile, isSameStamp, listDataFiles, totalSize } from './data-files.js'
import { layoutOf } from './layout.js'
import { newestEntry, requireMajority } from './locked-member.js'
import { type CopiedFile, type UploadedFiles, uploadFiles } from './upload.js'
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
  /** Of an incremental backup: what it is made upon, if anything. */
  readonly increment?: { readonly source?: IncrementSource | undefined } | undefined
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

export interface PhysicalPartResult extends UploadedFiles {
  /** The last write that is in the files. */
  readonly lastWrite: Timestamp
}

/** Copies the files of a member under a lock, and stores the copy (PBM: physical.md §2.3; here without its cursor). */
export async function storeFiles(options: PhysicalPartOptions): Promise<PhysicalPartResult> {
  const { server, signal, log, progress } = options
  const layout = layoutOf(server.mongodOpts)
  const blocks = options.increment && (await Blocks.load(options.increment.source, options))
  // A server that is started on the copy needs all of them.
  const isStored = options.cluster === undefined ? blocks?.isStored : undefined
  const clone = new FileClone(server.dbPath, layout, signal, isStored)
  try {
    progress.phase('copy')
    await clone.prepare()
    log.info(clone.isInstant ? 'the file system shares blocks' : 'the file system shares no blocks: files are copied')
    await options.cluster?.ready()
    const { files, lastWrite } = await copyLocked(options, clone)
    await requireMajority(options, lastWrite)
    const end = await options.cluster?.agree(lastWrite)
    const uploading = { ...options, folder: clone.folder, blocks }
    if (end === undefined) return { ...(await uploadFiles(uploading, files.map(storedAs))), lastWrite }
    progress.phase('oplog')
    const copies = await listDataFiles(clone.folder, layout, isClosedFile)
    await completeCopy({ ...options, folder: clone.folder, top: lastWrite, end })
    const completed = await listDataFiles(clone.folder, layout, isClosedFile)
    return { ...(await uploadFiles(uploading, sameAsTaken(completed, copies, files))), lastWrite: end }
  } finally {
    await blocks?.remove().catch((error: unknown) => log.warning(errorText(error)))
    await clone.remove().catch((error: unknown) => log.warning(`${clone.folder} can't be removed: ${String(error)}`))
  }
}

function storedAs({ path, size, mode, stamp, isSettled }: TakenFile): CopiedFile {
  return { path, size, mode, stamp: isSettled ? stamp : undefined }
}

/** What a server has left of the copies; the stamps of the files in the dbPath go with those that it has not touched. */
function sameAsTaken(
  completed: readonly DataFile[],
  copies: readonly DataFile[],
  taken: readonly TakenFile[],
): CopiedFile[] {
  const [before, stamps] = [
    new Map(copies.map((copy) => [copy.path, copy.stamp])),
    new Map(taken.map((file) => [file.path, storedAs(file).stamp])),
  ]
  return completed
    .filter(({ size }) => size > 0)
    .map(({ path, size, mode, stamp }) => {
      const copy = before.get(path)
      return { path, size, mode, stamp: copy && isSameStamp(copy, stamp) ? stamps.get(path) : undefined }
    })
}

async function copyLocked(options: PhysicalPartOptions, clone: FileClone) {
  const { node, uri, server, maxLockMs, log, signal } = options
  let copied: { files: TakenFile[]; lastWrite: Timestamp } | undefined
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
