import { type BackupDocument, listBackups, listChunks, type PitrChunkDocument } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'

/** What several sections need, and which may be thousands of records: each list is read once, when it is asked for first. */
export interface StoredHistory {
  backups(): Promise<readonly BackupDocument[]>
  chunks(): Promise<readonly PitrChunkDocument[]>
}

export function storedHistory(leader: MongoClient): StoredHistory {
  let backups: Promise<readonly BackupDocument[]> | undefined
  let chunks: Promise<readonly PitrChunkDocument[]> | undefined
  return {
    backups: () => (backups ??= listBackups(leader)),
    chunks: () => (chunks ??= listChunks(leader)),
  }
}
