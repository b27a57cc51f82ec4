import type { MongoClient } from 'mongodb'
import { buildDocument, documentElement, type RawElement, stringElement } from '../bson/build.js'
import { errorText, PbmError } from '../errors.js'
import { applyOps } from '../mongo/apply-ops.js'
import { RawValue } from '../mongo/raw-command.js'
import type { Operation } from './entry.js'
import { documentHash, hashText } from './lanes.js'
import { binaryElement, booleanElement } from './raw-fields.js'

/** The server takes up to 16 MiB a command. Small ones are done soon, so that other writes get their turn. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024
const MAX_BATCH_OPERATIONS = 500

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
 * Applies operations through `applyOps` on the primary, many changes in one command, several commands at a time: each
 * document has its lane, in which one command is under way while the next is gathered. Inserts of documents that are
 * there replace them, updates of missing documents insert (their delete follows), validators are passed over: all this
 * is what makes replay over a fuzzy snapshot converge (PBM: archive-and-oplog.md §4.5). Running a batch again changes
 * nothing.
 */
export class Applier implements OperationSink {
  readonly #client: MongoClient
  readonly #signal: AbortSignal
  readonly #lanes: readonly Lane[]
  #failure: { error: unknown } | undefined

  constructor(client: MongoClient, options: { signal: AbortSignal; lanes?: number }) {
    this.#client = client
    this.#signal = options.signal
    this.#lanes = Array.from(
      { length: options.lanes ?? LANES },
      () => new Lane((batch, operations) => this.#run(batch, operations)),
    )
  }

  async change(operation: Operation, inOrder: boolean): Promise<void> {
    // The server keeps views in memory too, and misses changes that come as one with others.
    if (operation.ns.endsWith('.system.views')) return this.command(operation)
    this.#throwFailure()
    const hash = (inOrder ? undefined : documentHash(operation)) ?? hashText(operation.ns)
    await this.#lanes[hash % this.#lanes.length]?.add(applicable(operation), operation)
  }

  async command(operation: Operation): Promise<void> {
    await this.flush()
    await this.#run([applicable(operation)], [operation])
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
  async #run(batch: readonly Buffer[], operations: readonly Operation[]): Promise<void> {
    if (this.#failure !== undefined) return
    try {
      this.#signal.throwIfAborted()
      await applyOps(this.#client, RawValue.documents(batch), {
        signal: this.#signal,
        more: {
          bypassDocumentValidation: true,
          // As one transaction the batch would lock out everybody else, be logged as one entry, in which a document of
          // 16 MB would not fit, and grow slow where many documents were deleted just before.
          allowAtomic: false,
        },
      })
    } catch (error) {
      this.#failure ??= { error: this.#signal.aborted ? this.#signal.reason : replayError(error, operations) }
    }
  }
}

/** The changes of the documents that share it, in order. */
class Lane {
  readonly #run: (batch: readonly Buffer[], operations: readonly Operation[]) => Promise<void>
  #batch: Buffer[] = []
  #operations: Operation[] = []
  #bytes = 0
  #underWay: Promise<void> = Promise.resolve()

  constructor(run: (batch: readonly Buffer[], operations: readonly Operation[]) => Promise<void>) {
    this.#run = run
  }

  async add(document: Buffer, operation: Operation): Promise<void> {
    if (this.#bytes > 0 && this.#bytes + document.length > MAX_BATCH_BYTES) await this.#send()
    this.#batch.push(document)
    this.#operations.push(operation)
    this.#bytes += document.length
    if (this.#batch.length >= MAX_BATCH_OPERATIONS) await this.#send()
  }

  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    await this.#underWay
  }

  /** Waits for the command before, then starts this batch. */
  async #send(): Promise<void> {
    await this.#underWay
    const [batch, operations] = [this.#batch, this.#operations]
    this.#batch = []
    this.#operations = []
    this.#bytes = 0
    this.#underWay = this.#run(batch, operations)
  }
}

/** The operation as applyOps takes it. */
function applicable({ op, ns, ui, o, o2 }: Operation): Buffer {
  const elements: RawElement[] = [stringElement('op', op), stringElement('ns', ns)]
  if (ui !== undefined) elements.push(binaryElement('ui', ui, 4))
  elements.push(documentElement('o', o))
  if (op === 'u') {
    if (o2 !== undefined) elements.push(documentElement('o2', o2))
    // Upsert: by default servers do so, but newer ones may not.
    elements.push(booleanElement('b', true))
  }
  return buildDocument(elements)
}

function replayError(error: unknown, operations: readonly Operation[]): PbmError {
  const results = resultsOf(error)
  const failed = operations[results?.findIndex((applied) => !applied) ?? -1] ?? operations[0]
  const where = failed === undefined ? '' : ` (${failed.op} on ${failed.ns})`
  return new PbmError('REPLAY_FAILED', `Applying the oplog failed${where}: ${shortened(errorText(error))}`, {
    cause: error,
  })
}

function resultsOf(error: unknown): boolean[] | undefined {
  const response = (error as { errorResponse?: { results?: unknown } }).errorResponse
  return Array.isArray(response?.results) ? (response.results as boolean[]) : undefined
}

/** The server's messages hold the whole operation. */
function shortened(message: string): string {
  return message.length > 500 ? `${message.slice(0, 500)}…` : message
}
