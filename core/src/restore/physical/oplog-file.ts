import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EntriesFile } from '../../backup/physical/entries.js'
import { wholeDocuments } from '../../bson/documents.js'
import { PbmError } from '../../errors.js'
import { optimeText } from '../../oplog/entry.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { damaged, type OplogPiece, readPiece } from '../data/stored-objects.js'
import { verifyCoverage } from '../verify/oplog.js'

/** How often it is looked whether the disk has room for more. */
const LOOK_BYTES = 64 * 1024 * 1024

export interface OplogToKeep {
  readonly store: ObjectStore
  /** In order of their start. */
  readonly pieces: readonly OplogPiece[]
  /** Not in it any more: the last entry that the files of the backup have. */
  readonly start: bigint
  /** Inclusive. */
  readonly end: bigint
  readonly signal: AbortSignal
  /** What has to stay free, in bytes: a server runs on that disk. */
  readonly reserve: number
}

export interface KeptOplog {
  /** Of the last entry; the start where there is none. */
  readonly last: bigint
  readonly entries: number
  readonly bytes: number
}

/**
 * Brings stored oplog beside the files of a backup, as the server takes it from there: while no database runs, nothing has to
 * be read from a storage. Throws BACKUP_DAMAGED, BACKUP_OBJECT_MISSING, ENTRY_TOO_LARGE and NO_SPACE.
 */
export async function keepOplog(oplog: OplogToKeep, path: string): Promise<KeptOplog> {
  const { store, pieces, start, end, signal, reserve } = oplog
  verifyCoverage(pieces, { start, end })
  const file = await EntriesFile.create(path, start)
  let looked = 0
  try {
    for (const piece of pieces) {
      let reached = 0n
      const see = (ts: bigint) => {
        if (ts < reached || ts < piece.start || ts > piece.end)
          throw damaged(`${piece.object} is not in order at ${optimeText(ts)}`)
        reached = ts
      }
      for await (const documents of wholeDocuments(readPiece(store, piece, { signal }))) {
        await file.add(documents, end, see)
        if (file.bytes - looked < LOOK_BYTES) continue
        looked = file.bytes
        await requireRoom(path, reserve + file.bytes)
      }
      if (reached < piece.end && reached < end)
        throw damaged(`${piece.object} ends at ${optimeText(reached)} instead of ${optimeText(piece.end)}`)
    }
  } finally {
    await file.close()
  }
  const { last, entries, bytes } = file
  // It takes as much again in the server.
  await requireRoom(path, reserve + bytes)
  return { last, entries, bytes }
}

async function requireRoom(path: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  if (bavail * bsize >= needed) return
  throw new PbmError('NO_SPACE', `${dirname(path)} has no room for the oplog up to that time`, {
    hint: 'Make room there, make backups more often, or restore a logical one (--base-snapshot)',
  })
}
