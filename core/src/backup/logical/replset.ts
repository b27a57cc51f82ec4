import { availableParallelism } from 'node:os'
import type { MongoClient, Timestamp } from 'mongodb'
import { ARCHIVE_VERSION } from '../../archive/format.js'
import { type ArchiveMetadata, writeMetadataJson, writeMetaPbm } from '../../archive/metadata.js'
import { Tally } from '../../archive/tally.js'
import type { Config } from '../../config/document.js'
import type { BackupOplogObject, StoredObject } from '../../control/backup-document.js'
import { setReplsetProgress } from '../../control/backups.js'
import type { BackupCommand } from '../../control/command-document.js'
import { ProgressCounter } from '../../control/progress.js'
import { errorText } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { type WrittenTime, writtenByNow } from '../../mongo/causal.js'
import { throughElections } from '../../mongo/through-elections.js'
import type { NodeInfo } from '../../mongo/topology.js'
import { OplogSlicer } from '../../oplog/reading/slice.js'
import type { CompressionPlugin } from '../../plugin/compression.js'
import type { ObjectStore } from '../../plugin/storage.js'
import { bodyOf } from '../../plugin-kit/streams.js'
import type { WithPrimary } from '../../protocol/tokens.js'
import { metaPbmName, namespaceListName } from '../../store/layout/names.js'
import type { Clock } from '../../time/clock.js'
import { PBM_COMPATIBLE_VERSION, TOOL_VERSION } from '../../version.js'
import { compressionLevel } from '../compression-level.js'
import { dumpArchive } from './archive-layout.js'
import { dumpNamespaces } from './dump.js'
import { type DumpNamespace, listNamespaces } from './namespaces.js'

export interface ReplsetBackupOptions {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly withPrimary: WithPrimary
  readonly store: ObjectStore
  readonly compression: CompressionPlugin
  readonly log: OperationLog
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly command: BackupCommand
  readonly config: Config
  readonly info: NodeInfo
  readonly replset: string
  /** Where the oplog begins; taken before anything is listed or read. */
  readonly start: Timestamp
  /** The store seals: names of objects must tell nothing. */
  readonly sealed: boolean
}

export interface ReplsetBackupResult {
  /** How many namespaces have an object of their own. */
  readonly objects: number
  /** As PBM counts them: stored bytes of the data, and the oplog uncompressed. */
  readonly bytes: number
  /** Data and oplog as they are read again. */
  readonly uncompressedBytes: number
  readonly oplog: BackupOplogObject[]
  /** The lists, or the archive. */
  readonly stored: StoredObject[]
}

/** Stores the oplog up to `end`, inclusive, after which the part is complete. */
export type FinishPart = (end: Timestamp) => Promise<ReplsetBackupResult>

export interface DumpedPart {
  /** All that was acknowledged before the backup, and all definitions, are no later: the oplog may not end before. */
  readonly begun: WrittenTime
  readonly finish: FinishPart
}

/** Minutes between two pieces of oplog while the dump runs. */
const DEFAULT_SPAN_MINUTES = 10
const PROGRESS_MS = 500
/** Beside the large ones: each may wait for a storage that is far away. */
const SMALL_AT_ONCE = 8

/** What is dumped of one replica set, from the list of its namespaces to the end of its oplog. To be closed, however it ends. */
export class ReplsetBackup {
  readonly #options: ReplsetBackupOptions
  readonly #progress: ProgressCounter
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  /** Resolve when nothing is written any more. */
  readonly #open: (() => Promise<void>)[] = []

  constructor(options: ReplsetBackupOptions) {
    this.#options = options
    this.#progress = new ProgressCounter(options.clock)
    this.#signal = AbortSignal.any([options.signal, this.#closing.signal])
  }

  /** Resolves when all collections are on their way to the storage and no more of them is read. */
  async dump(): Promise<DumpedPart> {
    const { config, clock, log } = this.#options
    const given = { clock, log, signal: this.#signal }
    const { namespaces, begun } = await throughElections('what is to be dumped', () => this.#namespaces(), given)
    this.#progress.phase('collections', totals(namespaces))
    this.#open.push(this.#tellProgress())
    const finish = await (config.backup?.layout === 'archive' ? this.#archive(namespaces) : this.#objects(namespaces))
    return { begun, finish }
  }

  /** Nobody may write when the caller deletes what was written. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the dump is over'))
    for (const ended of this.#open) await ended()
  }

  #namespaces(): Promise<{ namespaces: DumpNamespace[]; begun: WrittenTime }> {
    const { node, withPrimary, command } = this.#options
    return withPrimary(async (primary) => ({
      namespaces: await listNamespaces({ node, primary }, command, this.#signal),
      begun: await writtenByNow(primary),
    }))
  }

  async #objects(namespaces: DumpNamespace[]): Promise<FinishPart> {
    const { node, store, compression, log, command, replset, start, sealed } = this.#options
    // A failed slice must stop the dump, since what it lost can't be had again; and the other way round.
    const failed = new AbortController()
    const signal = AbortSignal.any([this.#signal, failed.signal])
    const dumpEnded = new AbortController()
    const common = { node, store, compression, backup: command.name, replset, level: this.#level(), log, signal }
    const slicer = new OplogSlicer({ ...common, start, keepPieces: sealed, onProgress: this.#count })
    const abort = (error: unknown) => {
      failed.abort(error)
      throw error
    }
    const slicing = this.#sliceWhileDumping(slicer, dumpEnded.signal).catch(abort)
    const width = { ...this.#parallel(), hidden: sealed }
    const dumping = dumpNamespaces(namespaces, { ...common, ...width, onProgress: this.#count })
      .catch(abort)
      .finally(() => dumpEnded.abort())
    // Both end before anything is thrown.
    await Promise.allSettled([slicing, dumping])
    signal.throwIfAborted()
    const dump = await dumping
    const metadata: ArchiveMetadata = {
      concurrentCollections: 1,
      version: ARCHIVE_VERSION,
      serverVersion: this.#serverVersion(),
      toolVersion: TOOL_VERSION,
      namespaces: dump.namespaces,
    }
    const metaPbm = writeMetaPbm(metadata, PBM_COMPATIBLE_VERSION, this.#options.info.fcv ?? '')
    const stored = [
      await this.#list(metaPbmName(command.name, replset), metaPbm, signal),
      await this.#list(namespaceListName(command.name, replset), Buffer.from(writeMetadataJson(metadata)), signal),
    ]
    return async (end) => {
      this.#progress.phase('oplog')
      await slicer.finish(end)
      const objects = dump.namespaces.filter(({ size }) => size > 0).length
      const other = metaPbm.length + slicer.bytes
      const uncompressedBytes = dump.namespaces.reduce((sum, { size }) => sum + size, other)
      return { bytes: dump.storedBytes + other, uncompressedBytes, objects, stored, oplog: slicer.stored }
    }
  }

  async #list(name: string, bytes: Buffer, signal: AbortSignal): Promise<StoredObject> {
    await this.#options.store.save(name, bodyOf(bytes), { signal })
    const tally = new Tally()
    tally.add(bytes)
    return { name, size: tally.size, crc: tally.crcText() }
  }

  async #archive(namespaces: DumpNamespace[]): Promise<FinishPart> {
    const { node, store, compression, command, replset, start } = this.#options
    const archive = dumpArchive(namespaces, {
      ...{ node, store, compression, replset, start },
      signal: this.#signal,
      backup: command.name,
      level: this.#level(),
      serverVersion: this.#serverVersion(),
      onProgress: this.#count,
    })
    this.#open.push(() => archive.ended)
    await archive.collections
    return async (end) => {
      const { dump, dumpBytes, oplogBytes, oplog } = await archive.finish(end)
      const uncompressedBytes = dumpBytes + oplogBytes
      return { bytes: dump.size + oplogBytes, uncompressedBytes, objects: 1, stored: [dump], oplog }
    }
  }

  readonly #count = (documents: number, bytes: number) => this.#progress.add(documents, bytes)

  #serverVersion(): string {
    return this.#options.info.psmdbVersion ?? this.#options.info.version
  }

  #level(): number | undefined {
    return compressionLevel(this.#options.command, this.#options.config)
  }

  /**
   * What is said, to the letter; else half the processors, as PBM: two are enough to keep the server busy while another object
   * is being finished.
   */
  #parallel(): { parallel: number; parallelSmall?: number } {
    const { command, config } = this.#options
    const said = command.numParallelColls || config.backup?.numParallelCollections
    if (said) return { parallel: said }
    return { parallel: Math.max(2, Math.floor(availableParallelism() / 2)), parallelSmall: SMALL_AT_ONCE }
  }

  async #sliceWhileDumping(slicer: OplogSlicer, stop: AbortSignal): Promise<void> {
    const { clock, config } = this.#options
    const minutes = config.backup?.oplogSpanMin || config.pitr?.oplogSpanMin || DEFAULT_SPAN_MINUTES
    const ended = AbortSignal.any([stop, this.#signal])
    for (;;) {
      await clock.sleep(minutes * 60_000, ended).catch(() => undefined)
      if (ended.aborted) return
      await slicer.slice()
    }
  }

  /** Tells progress until the returned function is called, which waits for the last word. */
  #tellProgress(): () => Promise<void> {
    const { leader, clock, command, replset, log } = this.#options
    const stop = new AbortController()
    const tell = () =>
      setReplsetProgress(leader, command.name, replset, this.#progress.snapshot()).catch((error: unknown) =>
        log.debug(`cannot tell the progress: ${errorText(error)}`),
      )
    const telling = async () => {
      while (!stop.signal.aborted) {
        await clock.sleep(PROGRESS_MS, stop.signal).catch(() => undefined)
        await tell()
      }
    }
    const told = telling()
    return async () => {
      stop.abort()
      await told
    }
  }
}

function totals(namespaces: readonly DumpNamespace[]): { bytes: number; documents: number } {
  let [bytes, documents] = [0, 0]
  for (const namespace of namespaces) {
    bytes += namespace.bytes
    documents += namespace.documents
  }
  return { bytes, documents }
}
