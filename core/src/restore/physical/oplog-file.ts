import { createReadStream } from 'node:fs'
import { open, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { MongoClient } from 'mongodb'
import { documentsIn, MAX_DOCUMENT_BYTES, wholeDocuments } from '../../bson/documents.js'
import { BSON_TIMESTAMP, type ElementPosition, readElement } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { documentSequence } from '../../mongo/document-sequence.js'
import { optimeText, parseEntry } from '../../oplog/entry.js'
import { withoutControlEntries } from '../../oplog/reading/control-entries.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { damaged, type OplogPiece, readPiece } from '../data/stored-objects.js'
import { verifyCoverage } from '../verify/oplog.js'

/** What the server takes into a collection: the entry of a document of 16 MiB is larger. */
const LARGEST_ENTRY = 16 * 1024 * 1024
/** How often it is looked whether the disk has room for more. */
const LOOK_BYTES = 64 * 1024 * 1024
const BATCH_BYTES = 8 * 1024 * 1024
const BATCH_ENTRIES = 5_000
const FIELD = Buffer.from([BSON_TIMESTAMP, ...Buffer.from('_id\0')])

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
  const file = await open(path, 'w', 0o600)
  let [last, entries, bytes, looked] = [start, 0, 0, 0]
  try {
    for (const piece of pieces) {
      let reached = 0n
      for await (const documents of wholeDocuments(readPiece(store, piece, { signal }))) {
        const kept: Buffer[] = []
        for (const raw of documentsIn(withoutControlEntries(documents))) {
          const { ts } = parseEntry(raw)
          if (ts < reached || ts < piece.start || ts > piece.end)
            throw damaged(`${piece.object} is not in order at ${optimeText(ts)}`)
          reached = ts
          // Neighbours share the entry at their border.
          if (ts <= last || ts > end) continue
          kept.push(withId(raw, ts))
          last = ts
          entries++
        }
        const block = Buffer.concat(kept)
        bytes += block.length
        if (bytes - looked > LOOK_BYTES) {
          looked = bytes
          await requireRoom(path, reserve + bytes)
        }
        await file.write(block)
      }
      if (reached < piece.end && reached < end)
        throw damaged(`${piece.object} ends at ${optimeText(reached)} instead of ${optimeText(piece.end)}`)
    }
    await file.sync()
  } finally {
    await file.close()
  }
  // It takes as much again in the server.
  await requireRoom(path, reserve + bytes)
  return { last, entries, bytes }
}

/** The server would give each entry another `_id` on each member. */
function withId(raw: Buffer, ts: bigint): Buffer {
  const first: ElementPosition = { type: 0, start: 0, value: 0, end: 0 }
  const hasOne =
    readElement(raw, 4, raw.length, first) && raw.toString('latin1', first.start + 1, first.value - 1) === '_id'
  const entry = hasOne ? raw : Buffer.concat([Buffer.alloc(4), FIELD, Buffer.alloc(8), raw.subarray(4)])
  if (entry.length > LARGEST_ENTRY) {
    throw new PbmError(
      'ENTRY_TOO_LARGE',
      `the entry of the oplog at ${optimeText(ts)} has ${entry.length} bytes: more than the server takes on its files`,
      { hint: 'Restore to a time before it, or from a logical backup (--base-snapshot)' },
    )
  }
  if (!hasOne) {
    entry.writeInt32LE(entry.length, 0)
    entry.writeBigUInt64LE(ts, 4 + FIELD.length)
  }
  return entry
}

async function requireRoom(path: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(path)
  if (bavail * bsize >= needed) return
  throw new PbmError('NO_SPACE', `${dirname(path)} has no room for the oplog up to that time`, {
    hint: 'Make room there, make backups more often, or restore a logical one (--base-snapshot)',
  })
}

/**
 * Puts what was kept into the oplog of a server that is no member of a replica set, behind what it has: once it is one, it
 * applies that by itself (measured: docs/reference/physical-community.md §5). Reading the oplog forwards would hang
 * afterwards.
 */
export async function insertOplog(client: MongoClient, path: string, top: bigint): Promise<void> {
  let batch: Buffer[] = []
  let bytes = 0
  const send = async () => {
    if (batch.length === 0) return
    const documents = documentSequence('documents', ...batch)
    const reply = await client.db('local').command({ insert: 'oplog.rs', documents, ordered: true })
    const [error] = (reply.writeErrors ?? []) as { errmsg?: string }[]
    if (error !== undefined) throw new PbmError('OPLOG_REFUSED', `the server refuses the oplog: ${error.errmsg}`)
    batch = []
    bytes = 0
  }
  for await (const documents of wholeDocuments(createReadStream(path, { highWaterMark: MAX_DOCUMENT_BYTES / 16 }))) {
    for (const raw of documentsIn(documents)) {
      // Some of it was put there before this process was killed.
      if (parseEntry(raw).ts <= top) continue
      if (batch.length >= BATCH_ENTRIES || bytes + raw.length > BATCH_BYTES) await send()
      batch.push(raw)
      bytes += raw.length
    }
  }
  await send()
}
