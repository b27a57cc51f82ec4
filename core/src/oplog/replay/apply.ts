import type { MongoClient } from 'mongodb'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import type { Operation } from '../entry.js'
import { ReplayBatch, sendBatch } from './apply-batch.js'
import { documentHash, hashText } from './lanes.js'

/** The server takes up to 16 MiB a command. Small ones are done soon, so that other writes get their turn. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
const MAX_BATCH_OPERATIONS = 1000

/** Batches under way at once; more only wait for each other in the server. */
const LANES = 4

/** Where a replay sends what is to be done, with the namespace and UUID of the target already put right. */
export interface OperationSink {
  /**
   * Changes of one document are done in their order; with `inOrder`, so are all of the collection: where order is part
   * of the content (capped), or where changes of one document make room for another (unique indexes, `_id` collations).
   */
  change(operation: Operation, inOrder: boolean): Promise<void>
  /** A command of `ns` `<db>.$cmd`; all changes before it are done first, and it is done when this resolves. */
  command(operation: Operation): Promise<void>
  flush(): Promise<void>
}

/**
 * Applies operations on the primary, many changes in one command, several commands at a time: each document has its
 * lane, in which one batch is under way while the next is gathered. Inserts of documents that are there replace them,
 * updates of missing documents do nothing (their delete follows; PBM inserts a fragment until then, which validators of
 * buckets and unique indexes refuse), validators are passed over: all this is what makes replay over a fuzzy snapshot
 * converge (PBM: archive-and-oplog.md §4.5). Running a batch again changes nothing.
 */
export class Applier implements OperationSink {
  readonly #client: MongoClient
  readonly #guard: DeadlineGuard
  readonly #lanes: readonly Lane[]
  #failure: { error: unknown } | undefined

  constructor(client: MongoClient, options: { guard: DeadlineGuard; lanes?: number }) {
    this.#client = client
    this.#guard = options.guard
    this.#lanes = Array.from({ length: options.lanes ?? LANES }, () => new Lane((batch) => this.#run(batch)))
  }

  async change(operation: Operation, inOrder: boolean): Promise<void> {
    // The server keeps views in memory too, and misses changes that come as one with others.
    if (operation.ns.endsWith('.system.views')) return this.command(operation)
    this.#throwFailure()
    const hash = inOrder ? undefined : documentHash(operation)
    const lane = this.#lanes[(hash ?? hashText(operation.ns)) % this.#lanes.length]
    const full = lane?.add(operation, hash)
    // Most calls end here: to wait for nothing costs more than the rest.
    if (full !== undefined) await full
  }

  async command(operation: Operation): Promise<void> {
    await this.flush()
    const batch = new ReplayBatch()
    batch.addCommand(operation)
    await this.#run(batch)
    this.#throwFailure()
  }

  async flush(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.flush()))
    this.#throwFailure()
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Never rejects for a batch of a lane: the failure is told by the next call. */
  async #run(batch: ReplayBatch): Promise<void> {
    if (this.#failure !== undefined) return
    try {
      this.#guard.throwIfStopped()
      await sendBatch(this.#client, batch, this.#guard)
    } catch (error) {
      this.#failure ??= { error: this.#guard.signal.aborted ? this.#guard.signal.reason : error }
    }
  }
}

/** The changes of the documents that share it, in order. */
class Lane {
  readonly #run: (batch: ReplayBatch) => Promise<void>
  #batch = new ReplayBatch()
  #underWay: Promise<void> = Promise.resolve()

  constructor(run: (batch: ReplayBatch) => Promise<void>) {
    this.#run = run
  }

  /** `hash` is the document's; undefined where all of the collection keep their order. A promise when the batch is full. */
  add(operation: Operation, hash: number | undefined): Promise<void> | undefined {
    this.#batch.addChange(operation, hash)
    const isFull = this.#batch.operations >= MAX_BATCH_OPERATIONS || this.#batch.bytes >= MAX_BATCH_BYTES
    return isFull ? this.#send() : undefined
  }

  async flush(): Promise<void> {
    if (this.#batch.operations > 0) await this.#send()
    await this.#underWay
  }

  /** Waits for the batch before, then starts this one. */
  async #send(): Promise<void> {
    await this.#underWay
    const batch = this.#batch
    this.#batch = new ReplayBatch()
    this.#underWay = this.#run(batch)
  }
}
