import type { Operation } from '../entry.js'
import { ReplayBatch } from './apply-batch.js'
import { documentHash, hashText } from './document-hash.js'

/** The server takes up to 16 MiB a command. Small ones are done soon, so that other writes get their turn. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
const MAX_BATCH_OPERATIONS = 1000

/** Batches under way at once; more only wait for each other in the server. */
export const LANES = 4

/** The lane of a change: that of its document, or with `inOrder` that of its collection. */
export function laneFor(
  operation: Operation,
  inOrder: boolean,
  lanes: readonly Lane[],
): { lane: Lane | undefined; hash: number | undefined } {
  const hash = inOrder ? undefined : documentHash(operation)
  return { lane: lanes[(hash ?? hashText(operation.ns)) % lanes.length], hash }
}

/** The changes of the documents that share it, in order. */
export class Lane {
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
