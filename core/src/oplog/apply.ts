import type { MongoClient } from 'mongodb'
import { buildDocument, documentElement, type RawElement, stringElement } from '../bson/build.js'
import { errorText, PbmError } from '../errors.js'
import { RawValue } from '../mongo/raw-command.js'
import type { Operation } from './entry.js'
import { binaryElement, booleanElement } from './raw-fields.js'

/** The server takes up to 16 MiB a command and, where it applies a batch as one, logs it as one entry of that bound. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024
const MAX_BATCH_OPERATIONS = 2000

/** Where a replay sends what is to be done, with the namespace and UUID of the target already put right. */
export interface OperationSink {
  change(operation: Operation): Promise<void>
  /** A command of `ns` `<db>.$cmd`; all changes before it are done first, and it is done when this resolves. */
  command(operation: Operation): Promise<void>
  flush(): Promise<void>
}

/**
 * Applies operations through `applyOps` on the primary, many changes in one command, in order: one command is under way
 * while the next is gathered. Inserts of documents that are there replace them, updates of missing documents insert
 * (their delete follows), validators are passed over: all this is what makes replay over a fuzzy snapshot converge
 * (PBM: archive-and-oplog.md §4.5). Running a batch again changes nothing.
 */
export class Applier implements OperationSink {
  readonly #client: MongoClient
  readonly #signal: AbortSignal
  #batch: Buffer[] = []
  #operations: Operation[] = []
  #bytes = 0
  #underWay: Promise<void> = Promise.resolve()

  constructor(client: MongoClient, options: { signal: AbortSignal }) {
    this.#client = client
    this.#signal = options.signal
  }

  async change(operation: Operation): Promise<void> {
    // The server keeps views in memory too, and misses changes that come as one with others.
    if (operation.ns.endsWith('.system.views')) return this.command(operation)
    const document = applicable(operation)
    if (this.#bytes > 0 && this.#bytes + document.length > MAX_BATCH_BYTES) await this.#send()
    this.#batch.push(document)
    this.#operations.push(operation)
    this.#bytes += document.length
    if (this.#batch.length >= MAX_BATCH_OPERATIONS) await this.#send()
  }

  async command(operation: Operation): Promise<void> {
    await this.flush()
    await this.#run([applicable(operation)], [operation])
  }

  async flush(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    await this.#underWay
  }

  /** Waits for the command before, then starts this batch. */
  async #send(): Promise<void> {
    await this.#underWay
    const batch = this.#batch
    const operations = this.#operations
    this.#batch = []
    this.#operations = []
    this.#bytes = 0
    this.#underWay = this.#run(batch, operations)
    // The failure is told by the next send or flush; until then nobody listens.
    this.#underWay.catch(() => undefined)
  }

  async #run(batch: readonly Buffer[], operations: readonly Operation[]): Promise<void> {
    this.#signal.throwIfAborted()
    try {
      await this.#client.db('admin').command({
        applyOps: RawValue.documents(batch),
        bypassDocumentValidation: true,
        // Applied as one, the server logs the command itself, in which a document of 16 MB would not fit.
        ...(batch.length === 1 ? { allowAtomic: false } : {}),
      })
    } catch (error) {
      this.#signal.throwIfAborted()
      throw replayError(error, operations)
    }
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
