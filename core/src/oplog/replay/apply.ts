import type { MongoClient } from 'mongodb'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import type { Operation } from '../entry.js'
import { ReplayBatch, sendBatch } from './apply-batch.js'
import { LANES, Lane, laneFor } from './lanes.js'

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
    const { lane, hash } = laneFor(operation, inOrder, this.#lanes)
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
