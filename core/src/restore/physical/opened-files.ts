import { join } from 'node:path'
import type { Document, MongoClient } from 'mongodb'
import { layoutOf } from '../../backup/physical/layout.js'
import { withScratch } from '../../backup/physical/scratch.js'
import { programOf } from '../../backup/physical/server-program.js'
import { endOplogAt, type StandaloneOptions, withStandalone } from '../../backup/physical/standalone.js'
import { requireRights } from '../../control/rights.js'
import type { OperationLog } from '../../log.js'
import { serverOptions } from '../../mongo/server-options.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { optime } from '../../oplog/entry.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { fileObject } from '../../store/layout/file-list.js'
import { snapshotOfServer } from '../data/server-snapshot.js'
import type { Snapshot } from '../data/snapshot.js'
import { type FetchOptions, fetchFiles, readFileList, totalSize } from './fetch.js'
import { refuseOtherVersion } from './prepare.js'
import { transactionEntries } from './transaction-entries.js'

export interface OpeningFiles extends FetchOptions {
  /** The mongod beside this agent, whose program opens the files. */
  readonly node: MongoClient
  readonly info: NodeInfo
  /** Where the files are put meanwhile: a folder of this machine's own settings. */
  readonly folder: string
  /** Files fetched at a time. */
  readonly parallel: number
  /** Where the oplog begins that is replayed on top of it; undefined where none is. */
  readonly goesOnAt: bigint | undefined
  readonly log: OperationLog
  readonly progress: ProgressPublisher
}

/** A physical backup that a server of the agent's own has open. */
export interface OpenedFiles {
  readonly snapshot: Snapshot
  /** Names of the objects that were read. */
  readonly objects: readonly string[]
}

/** Names the socket. */
const PORT = 27017
/** For whatever else is on that file system. */
const KEEP_FREE = 512 * 1024 * 1024
const JOURNAL_COMPRESSORS: readonly unknown[] = ['none', 'snappy', 'zlib', 'zstd']

/**
 * Runs `work` with the part of a physical backup opened by a mongod that nobody else can reach, exactly as it was at the end of
 * the backup. Files and server are gone afterwards; what is left of an agent that was killed, see `removeLeftScratch`. Throws
 * RESTORE_UNSUPPORTED, RIGHTS_MISSING, SCRATCH_… and what {@link fetchFiles} throws.
 */
export async function withOpenedFiles<T>(opening: OpeningFiles, work: (opened: OpenedFiles) => Promise<T>): Promise<T> {
  const { node, info, folder: parent, backup, part, compression, log, signal } = opening
  await requireRights(node, 'agent', { physical: true, version: info.version })
  refuseOtherVersion(backup, part, info)
  const { path } = await programOf(await serverOptions(node))
  const files = await readFileList(opening)
  const bytes = totalSize(files)
  const server = { path, mongodOpts: openingOptions(part.mongod_opts) }
  const fill = async (dbPath: string, filling: AbortSignal) => {
    log.info(`fetching the files of ${backup.name}, ${bytes} bytes, into ${parent}`)
    opening.progress.phase('files', { bytes, documents: 0 })
    await fetchFiles({ ...opening, signal: filling }, files, { ...opening, folder: dbPath })
    await endAt({ ...server, dbPath, signal: filling }, opening)
  }
  const scratch = { ...server, parent, needs: bytes, keepFree: KEEP_FREE, signal, fill, appliesOplog: true }
  return await withScratch(scratch, async (client, open) => {
    log.info(`a mongod of this agent's own has the files of ${backup.name} open`)
    const end = optime(part.last_write_ts)
    const oplog = info.isSharded ? await transactionEntries(client, end, opening.goesOnAt) : []
    const snapshot = { ...(await snapshotOfServer(client, { signal: open })), oplog }
    const objects = files.map((file) => fileObject(backup.name, part.name, file, compression.suffix))
    return await work({ snapshot, objects })
  })
}

/** Copies go beyond the end of their backup, or end between checkpoints: the next start brings them to it. */
async function endAt(server: Omit<StandaloneOptions, 'port'>, { part }: OpeningFiles): Promise<void> {
  const options = { ...server, port: PORT, scripting: false }
  await withStandalone(options, join(server.dbPath, '..', 'first.log'), (client) =>
    endOplogAt(client, part.last_write_ts),
  )
}

/** As the record has them, which comes from a storage: nothing else of it gets into a command line. */
function openingOptions(recorded: Readonly<Record<string, unknown>> | undefined): Readonly<Record<string, unknown>> {
  const { directoryPerDB, directoryForIndexes } = layoutOf(recorded)
  const storage = recorded?.storage as Document | undefined
  const compressor: unknown = storage?.wiredTiger?.engineConfig?.journalCompressor
  const journalCompressor = JOURNAL_COMPRESSORS.includes(compressor) ? compressor : 'snappy'
  return { storage: { directoryPerDB, wiredTiger: { engineConfig: { directoryForIndexes, journalCompressor } } } }
}
