import type { Timestamp } from 'bson'
import type { MongoClient } from 'mongodb'
import { planPointInTime } from '../../catalog/plan-restore.js'
import { chainsByReplset, newcomers, withoutReshardings } from '../../catalog/timelines.js'
import type { BackupDocument } from '../../control/backup-document.js'
import type { PitrChunkDocument } from '../../control/pitr-chunk-document.js'
import { listChunks } from '../../control/pitr-chunks.js'
import { isTimeAsked } from '../../control/restore-document.js'
import { optime } from '../../oplog/entry.js'
import type { PluginHost } from '../../plugin-host/host.js'
import { compressionBySuffix } from '../../plugin-host/naming.js'
import type { OplogPiece } from '../data/stored-objects.js'

export interface PointInTimeQuery {
  readonly leader: MongoClient
  readonly host: PluginHost
  /** As the chunks have it. */
  readonly rs: string
  readonly backup: BackupDocument
  /** Inclusive; unset for the end of the backup. */
  readonly target: Timestamp | undefined
  /** Of chosen namespaces. */
  readonly isPart: boolean
}

export interface PointInTime {
  /** In order of their start. */
  readonly chunks: OplogPiece[]
  /** Inclusive. */
  readonly end: bigint
  /** Replica sets that the backup does not have, and where their chunks begin: they were empty then. */
  readonly newcomers: ReadonlyMap<string, bigint>
}

/**
 * The chunks that lead from the end of the backup, or from nothing, to `target`; undefined where no time is asked for.
 * Whoever sent the command has checked the time; that is done again here, since chunks come and go. Throws `RESTORE_TIME`.
 */
export async function chunksUpTo(query: PointInTimeQuery): Promise<PointInTime | undefined> {
  const { leader, host, rs, backup, target, isPart } = query
  if (!isTimeAsked(target)) return undefined
  const listed = await listChunks(leader)
  const all = isPart ? withoutReshardings(listed) : listed
  const end = optime(target)
  planPointInTime({ chunks: all, bases: [backup], base: backup, target: end })
  const added = newcomers(backup, chainsByReplset(all), end)
  const begin = added.get(rs) ?? optime(backup.last_write_ts)
  const own = all.filter((chunk) => chunk.rs === rs && optime(chunk.end_ts) >= begin && optime(chunk.start_ts) <= end)
  return { chunks: await Promise.all(own.map((chunk) => pieceOf(chunk, host))), end, newcomers: added }
}

/** A chunk of the index as a piece of oplog to be read. */
export async function pieceOf(chunk: PitrChunkDocument, host: PluginHost): Promise<OplogPiece> {
  const { fname: object, start_ts, end_ts, crc } = chunk
  // The name says it for PBM too: chunks copied from a backup keep their suffix, whatever the index has.
  const compression = await host.compression(compressionBySuffix(object))
  return { object, start: optime(start_ts), end: optime(end_ts), compression, crc }
}
