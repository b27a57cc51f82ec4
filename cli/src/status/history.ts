import { type BackupDocument, type ChunkBounds, listBackups, listChunks } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { countUnsealed } from '../sealed.js'

/** What several sections need, and which may be thousands of records: each is read once, when it is asked for first. */
export interface StoredHistory {
  backups(): Promise<readonly BackupDocument[]>
  oplog(): Promise<ListedOplog>
}

/** All chunks of the oplog. */
export interface ListedOplog {
  /** Their stretches; those that join may be one. */
  readonly bounds: readonly ChunkBounds[]
  readonly bytes: number
  /** So many chunks are not sealed. */
  readonly unsealed: number
}

export function storedHistory(leader: MongoClient): StoredHistory {
  let backups: Promise<readonly BackupDocument[]> | undefined
  let oplog: Promise<ListedOplog> | undefined
  return {
    backups: () => (backups ??= listBackups(leader)),
    oplog: () => (oplog ??= readOplog(leader)),
  }
}

async function readOplog(leader: MongoClient): Promise<ListedOplog> {
  const chunks = await listChunks(leader)
  const bytes = chunks.reduce((total, { size }) => total + Number(size), 0)
  return { bounds: chunks, bytes, unsealed: countUnsealed(chunks) }
}
