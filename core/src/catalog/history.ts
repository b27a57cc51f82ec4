import { type MongoClient, ObjectId, type Timestamp } from 'mongodb'
import { type BackupFacts, countBackups, listBackupFacts } from '../control/backup-facts.js'
import type { ClusterView } from '../control/cluster-view.js'
import { countChunks, eachChunk } from '../control/pitr-chunks.js'
import { type Clock, systemClock } from '../time/clock.js'
import { mergedChunks } from './merged-chunks.js'
import { isPointInTimeBase } from './retention.js'
import { type ChunkBounds, type Timelines, timelines } from './timelines.js'

/** All backups, and what of the oplog is stored. */
export interface HistoryFacts {
  /** Newest first. */
  readonly backups: readonly BackupFacts[]
  readonly lines: Timelines
  /** Of each replica set that has chunks. */
  readonly chunks: ReadonlyMap<string, StoredOplog>
  /** The same stretches as the chunks, in as few pieces as there are: for {@link timelines} with other bases. */
  readonly bounds: readonly ChunkBounds[]
}

export interface StoredOplog {
  /** The last entry that is stored. */
  readonly end: Timestamp
  readonly bytes: number
  /** How many chunks are not sealed. */
  readonly unsealed: number
}

function signOf({ name, status, changedAt, verification, drill }: BackupFacts): unknown {
  return [name, status, changedAt, verification?.at, drill?.at]
}

/** Whatever the counts say: a record may have been replaced by another. */
const AT_LEAST_EVERY_MS = 600_000
/** Merged after so many, so that no list grows long. */
const MERGED_AFTER = 10_000

/**
 * What is known of all that was ever stored, for who looks again and again. Reads again only what has come since, and everything where something is
 * gone: months of chunks are thousands of records.
 */
export class History {
  readonly #leader: MongoClient
  readonly #clock: Clock
  #backups: { readonly sign: string; readonly at: number; readonly facts: readonly BackupFacts[] } | undefined
  #chunks: StoredChunks | undefined

  constructor(leader: MongoClient, clock: Clock = systemClock) {
    this.#leader = leader
    this.#clock = clock
  }

  /** As it is now. `view` is what was seen just before. */
  async look({ backups }: Pick<ClusterView, 'backups'>): Promise<HistoryFacts> {
    await this.#lookAtBackups(backups)
    await this.#lookAtChunks()
    const known = this.#backups?.facts ?? []
    const bounds = this.#chunks?.merged() ?? []
    return {
      backups: known,
      lines: timelines(bounds, known.filter(isPointInTimeBase)),
      chunks: this.#chunks?.stored ?? new Map(),
      bounds,
    }
  }

  async #lookAtBackups(newest: readonly BackupFacts[]): Promise<void> {
    const count = await countBackups(this.#leader)
    const sign = JSON.stringify([count, newest.map(signOf)])
    const at = this.#clock.now()
    const known = this.#backups
    if (known?.sign === sign && at - known.at < AT_LEAST_EVERY_MS) return
    this.#backups = { sign, at, facts: await listBackupFacts(this.#leader) }
  }

  async #lookAtChunks(): Promise<void> {
    const known = this.#chunks
    if (known !== undefined && this.#clock.now() - known.readAt < AT_LEAST_EVERY_MS) {
      await known.readMore(this.#leader)
      if ((await countChunks(this.#leader)) === known.expected) return
    }
    this.#chunks = await StoredChunks.readAll(this.#leader, this.#clock.now())
  }
}

class StoredChunks {
  #bounds: ChunkBounds[] = []
  #mergeAt = MERGED_AFTER
  readonly #stored = new Map<string, StoredOplog>()
  /** The ids of the newest second: agents make them in no order within one. */
  #newest: { readonly second: number; readonly ids: ReadonlySet<string> } = { second: 0, ids: new Set() }
  #read = 0
  /** Between the server's count, which may be off after a crash, and what was found. */
  #surplus = 0

  private constructor(readonly readAt: number) {}

  static async readAll(leader: MongoClient, readAt: number): Promise<StoredChunks> {
    const all = new StoredChunks(readAt)
    await all.readMore(leader)
    all.#surplus = (await countChunks(leader)) - all.#read
    return all
  }

  get expected(): number {
    return this.#read + this.#surplus
  }

  get stored(): ReadonlyMap<string, StoredOplog> {
    return this.#stored
  }

  merged(): readonly ChunkBounds[] {
    this.#bounds = mergedChunks(this.#bounds)
    this.#mergeAt = 2 * this.#bounds.length + MERGED_AFTER
    return this.#bounds
  }

  async readMore(leader: MongoClient): Promise<void> {
    const known = this.#newest
    let [second, ids] = [known.second, new Set(known.ids)]
    for await (const { _id, size, isSealed, ...bounds } of eachChunk(leader, ObjectId.createFromTime(known.second))) {
      const id = _id.toHexString()
      if (known.ids.has(id)) continue
      const made = _id.getTimestamp().getTime() / 1000
      if (made > second) [second, ids] = [made, new Set()]
      if (made === second) ids.add(id)
      this.#read += 1
      if (this.#bounds.push(bounds) >= this.#mergeAt) this.merged()
      const { rs, end_ts } = bounds
      const stored = this.#stored.get(rs)
      const end = stored?.end.greaterThan(end_ts) === true ? stored.end : end_ts
      const unsealed = (stored?.unsealed ?? 0) + (isSealed ? 0 : 1)
      this.#stored.set(rs, { end, bytes: (stored?.bytes ?? 0) + size, unsealed })
    }
    this.#newest = { second, ids }
  }
}
