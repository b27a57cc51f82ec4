import type { ChunkChecksums } from '../catalog/chunk-checksums.js'
import type { BackupDocument } from '../control/backup-document.js'
import type { PitrChunkDocument } from '../control/pitr-chunk-document.js'
import type { Ciphers } from '../encryption/ciphers.js'
import type { CompressionPlugin } from '../plugin/compression.js'
import type { PluginHost } from '../plugin-host/host.js'
import type { OpenStore } from '../store/open-store.js'
import type { Findings, Look } from './findings.js'
import type { Sample } from './sample.js'

/** What verifying works with. No database is among it. */
export interface VerifyContext {
  /** Chunks of the oplog are opened by it where they are sealed; backups are not. */
  readonly store: OpenStore
  readonly host: PluginHost
  readonly ciphers: Ciphers
  readonly sample: Sample
  readonly signal: AbortSignal
  /** Told what is to be read, and what was. */
  readonly progress: {
    phase(name: string, totals: { bytes: number; documents: number }): void
    add(documents: number, bytes: number): void
  }
}

/** What the parts of a backup are verified with. */
export interface PartContext {
  readonly store: OpenStore
  readonly backup: BackupDocument
  readonly compression: CompressionPlugin
  readonly findings: Findings
  readonly signal: AbortSignal
  /** What has been accounted for: the rest of the folder is nobody's. */
  readonly known: Set<string>
  /** Has an object read in its turn, or only looked for where it is not in the sample. */
  readonly queue: (about: QueuedObject, read: (look: Look) => Promise<void>) => void
}

export interface QueuedObject {
  readonly object: string
  readonly rs: string
  readonly ns?: string
  /** What it must have on the storage, where that is known. */
  readonly size?: number | undefined
}

export interface ChunksToVerify {
  /** All that are on the storage. */
  readonly chunks: readonly PitrChunkDocument[]
  readonly checksums: ChunkChecksums
  /** Those that are to be verified. */
  readonly isWanted: (chunk: Pick<PitrChunkDocument, 'rs' | 'start_ts' | 'end_ts'>) => boolean
  readonly listed: ListedChunks | undefined
}

/** What the control collections have of chunks, where there is a database. */
export interface ListedChunks {
  /** By the name of its object. */
  readonly all: ReadonlyMap<string, ListedChunk>
  /** Whether it is in the list still: who deletes a chunk begins there. */
  readonly isListed: (chunk: ListedChunk) => Promise<boolean>
}

export type ListedChunk = Pick<PitrChunkDocument, 'rs' | 'fname' | 'start_ts' | 'end_ts' | 'crc' | 'storedCrc'>
