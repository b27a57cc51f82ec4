import {
  type BackupDocument,
  findBackup,
  type Inventory,
  isBaseSnapshot,
  isSelective,
  listBackups,
  listChunks,
  PbmError,
  type PitrChunkDocument,
  readConfig,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { prettySize } from './output/bytes.js'
import { rfc3339, tableTime } from './output/times.js'
import { touched } from './pitr-ranges.js'

/** What decides about deletions, as the control collections say now. */
export async function readInventory(leader: MongoClient): Promise<Inventory> {
  const [backups, chunks, config] = await Promise.all([listBackups(leader), listChunks(leader), readConfig(leader)])
  return { backups, chunks, slicing: config?.pitr?.enabled === true && config.pitr.oplogOnly !== true }
}

export function backupLine(backup: BackupDocument): string {
  const kind = isSelective(backup) ? `${backup.type}, selective` : backup.type
  const base = isBaseSnapshot(backup) ? '' : ', no base'
  const state = backup.status === 'done' ? `restorable to ${rfc3339(backup.last_write_ts.t)}` : backup.status
  return `  ${backup.name}  ${prettySize(Number(backup.size))}  ${kind}${backup.status === 'done' ? base : ''}  ${state}`
}

export function backupJson(backup: BackupDocument) {
  return { name: backup.name, type: backup.type, size: Number(backup.size), status: backup.status }
}

/** One line for each unbroken stretch of a replica set. */
export function chunkLines(chunks: readonly PitrChunkDocument[]): string[] {
  return chunkRanges(chunks).map(
    ({ rs, range, chunks: count }) =>
      `  oplog of ${rs}: ${tableTime(range.start)} - ${tableTime(range.end)} (${count} ${count === 1 ? 'chunk' : 'chunks'})`,
  )
}

export function chunkRanges(chunks: readonly PitrChunkDocument[]) {
  return [...touched(chunks)].flatMap(([rs, ranges]) =>
    ranges.map((range) => ({
      rs,
      range,
      chunks: chunks.filter((one) => one.rs === rs && one.start_ts.t >= range.start && one.end_ts.t <= range.end)
        .length,
    })),
  )
}

/** An agent may decide otherwise than the CLI (what became needed meanwhile): that is no success. */
export async function checkGone(
  leader: MongoClient,
  going: { readonly backups: readonly BackupDocument[]; readonly chunks: readonly PitrChunkDocument[] },
  cmd: string,
): Promise<void> {
  const left: string[] = []
  for (const { name } of going.backups) if ((await findBackup(leader, name)) !== undefined) left.push(name)
  const stored = new Set((await listChunks(leader)).map(({ fname }) => fname))
  for (const { fname } of going.chunks) if (stored.has(fname)) left.push(fname)
  if (left.length > 0)
    throw new PbmError('NOT_DELETED', `not deleted: ${left.join(', ')}`, { hint: `See pbm logs -e ${cmd}.` })
}
