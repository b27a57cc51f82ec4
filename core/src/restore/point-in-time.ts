import type { Timestamp } from 'bson'
import type { MongoClient } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { listChunks } from '../control/pitr-chunks.js'
import { PbmError } from '../errors.js'
import { optime, optimeText } from '../oplog/entry.js'
import type { PluginHost } from '../plugin/host.js'
import { compressionBySuffix } from '../plugin/naming.js'
import type { OplogPiece } from './snapshot.js'

export interface PointInTimeQuery {
  readonly leader: MongoClient
  readonly host: PluginHost
  /** As the chunks have it. */
  readonly rs: string
  readonly backup: BackupDocument
  /** Inclusive; unset for the end of the backup. */
  readonly target: Timestamp | undefined
}

/**
 * The chunks that lead from the end of the backup to `target`, in order of their start; undefined where no time is
 * asked for. That they leave no gap and are whole is for the verification to say. Throws `RESTORE_TIME` for a time that
 * the backup is too new for.
 */
export async function chunksUpTo(query: PointInTimeQuery): Promise<{ chunks: OplogPiece[]; end: bigint } | undefined> {
  const { leader, host, rs, backup, target } = query
  if (!isTimeAsked(target)) return undefined
  const end = optime(target)
  const begin = optime(backup.last_write_ts)
  if (end <= begin) {
    throw new PbmError(
      'RESTORE_TIME',
      `Backup ${backup.name} ends at ${optimeText(begin)}, not before ${optimeText(end)}`,
      {
        hint: 'Choose an older base snapshot, or restore the backup without a time.',
      },
    )
  }
  const stored = (await listChunks(leader, { rs })).map((chunk) => ({
    object: chunk.fname,
    start: optime(chunk.start_ts),
    end: optime(chunk.end_ts),
  }))
  const wanted = stored.filter((chunk) => chunk.end >= begin && chunk.start <= end)
  const chunks = await Promise.all(
    wanted.map(async (chunk) => ({ ...chunk, compression: await host.compression(compressionBySuffix(chunk.object)) })),
  )
  return { chunks, end }
}

export function isTimeAsked(target: Timestamp | undefined): target is Timestamp {
  return target !== undefined && target.getHighBitsUnsigned() > 1
}
