import {
  type BackupDocument,
  isBaseSnapshot,
  isSelective,
  type PitrChunkDocument,
  rfc3339,
  tableTime,
} from '@pbmkit/core'
import { prettySize } from './output/bytes.js'
import { touched } from './pitr-ranges.js'

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
