import { join } from 'node:path'
import { withScratch } from '../../backup/physical/scratch.js'
import { type ScratchContext, scratchServer } from '../../backup/physical/scratch-server.js'
import { endOplogAt, type StandaloneOptions, withStandalone } from '../../backup/physical/standalone.js'
import type { OperationLog } from '../../log.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { optime } from '../../oplog/entry.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { fileObject } from '../../store/layout/file-list.js'
import { snapshotOfServer } from '../data/server-snapshot.js'
import type { Snapshot } from '../data/snapshot.js'
import { type FetchOptions, fetchFiles, readFileList, totalSize } from './fetch.js'
import { refuseOtherVersion } from './prepare.js'
import { transactionEntries } from './transaction-entries.js'

export interface OpeningFiles extends FetchOptions, ScratchContext {
  readonly info: NodeInfo
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

/**
 * Runs `work` with the part of a physical backup opened by a mongod that nobody else can reach, exactly as it was at the end of
 * the backup. Files and server are gone afterwards; what is left of an agent that was killed, see `removeLeftScratch`. Throws
 * RESTORE_UNSUPPORTED, SERVER_UNKNOWN, SCRATCH_… and what {@link fetchFiles} throws.
 */
export async function withOpenedFiles<T>(opening: OpeningFiles, work: (opened: OpenedFiles) => Promise<T>): Promise<T> {
  const { info, scratch, backup, part, compression, log } = opening
  if (scratch.mongod === undefined) refuseOtherVersion(backup, part, info)
  const files = await readFileList(opening)
  const bytes = totalSize(files)
  const server = await scratchServer(opening, part.mongod_opts)
  const fill = async (dbPath: string, filling: AbortSignal) => {
    log.info(`fetching the files of ${backup.name}, ${bytes} bytes, into ${scratch.folder}`)
    opening.progress.phase('files', { bytes, documents: 0 })
    await fetchFiles({ ...opening, signal: filling }, files, { ...opening, folder: dbPath })
    await endAt({ ...server, dbPath, signal: filling }, opening)
  }
  return await withScratch({ ...server, needs: bytes, fill, appliesOplog: true }, async (client, open) => {
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
