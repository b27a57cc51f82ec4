import type { Operation, OplogEntry } from '../entry.js'
import { changedId, classify, commandTarget, operationsInside } from './classify.js'
import { ReplayCommands } from './commands.js'
import { type Commit, CommitLog } from './commits.js'
import type { CatalogCollection, IndexCatalog } from './index-catalog.js'
import { isExcluded, isKnownByName, isUsersOrRoles, isViews } from './namespaces.js'
import type { ReplayOptions } from './options.js'
import { type OpenTransaction, TransactionBuffer, transactionKey, transactionStep } from './transactions.js'

/** Entries between two tellings of progress. */
const TELL_EVERY = 256

/**
 * Replays oplog entries, from as many pieces as the caller has, in order. Entries at or before the last one replayed
 * are passed over: pieces overlap by one entry, and each is applied exactly once.
 *
 * Right where PBM and mongorestore are wrong: indexes follow renames and drops by UUID, `collMod` of an index that is
 * not there is no fault, changes of collections that the window drops again are passed over.
 */
export class Replay {
  readonly #options: ReplayOptions
  readonly #catalog: IndexCatalog
  readonly #transactions: TransactionBuffer
  readonly #commands: ReplayCommands
  readonly #commits = new CommitLog()
  #last = 0n
  #untold = 0
  #operations = 0
  #ended = false

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#catalog = options.catalog
    this.#transactions = new TransactionBuffer(options.transactions)
    this.#commands = new ReplayCommands(options)
  }

  /** `ts` of the last entry taken. */
  get last(): bigint {
    return this.#last
  }

  /** Operations applied or, for indexes, noted. */
  get operations(): number {
    return this.#operations
  }

  /** Begun and undecided so far. */
  get openTransactions(): OpenTransaction[] {
    return this.#transactions.transactions
  }

  /** Decisions to commit distributed transactions, in their order. */
  get commits(): readonly Commit[] {
    return this.#commits.all
  }

  /** Whether an entry past the end was met. */
  get ended(): boolean {
    return this.#ended
  }

  /** Takes the entries of one piece. Stops at the first entry past the end. */
  async run(entries: AsyncIterable<OplogEntry>): Promise<void> {
    for await (const entry of entries) {
      if (entry.ts > this.#options.end) {
        this.#ended = true
        break
      }
      if (entry.ts <= this.#last) continue
      this.#last = entry.ts
      this.#options.cut?.see(entry)
      if (entry.ts < (this.#options.start ?? 0n)) await this.#before(entry)
      else await this.#entry(entry)
      if (++this.#untold === TELL_EVERY) this.#tell()
    }
    this.#tell()
  }

  /** Applies an open transaction that has committed elsewhere: its own shard just had no time to write that down. */
  async commitOpen(key: string): Promise<void> {
    for await (const operation of this.#transactions.takeOpen(key)) await this.#operation(operation, this.#last)
  }

  /**
   * Waits until all is applied. Transactions that had not committed by the end are dropped. Throws `REPLAY_INCOMPLETE`
   * when there were changes of a collection that neither the backup nor the oplog has.
   */
  async finish(): Promise<{ openTransactions: number }> {
    await this.#options.sink.flush()
    const openTransactions = this.#transactions.open
    await this.#transactions.close()
    this.#commands.refuseUnknown()
    return { openTransactions }
  }

  /** Frees temporary files after a failure. */
  async close(): Promise<void> {
    await this.#transactions.close()
  }

  /** Before the start nothing is applied, but transactions begin that commit in the range. */
  async #before(entry: OplogEntry): Promise<void> {
    const step = transactionStep(entry)
    if (step === undefined) return
    if (step === 'commit') this.#commits.add(transactionKey(entry), entry)
    const begins = entry.previous === 0n || this.#transactions.has(entry)
    if ((step === 'part' || step === 'prepare') && begins) await this.#transactions.add(entry)
    else await this.#transactions.discard(entry)
  }

  #tell(): void {
    this.#options.onProgress?.(this.#untold, this.#last)
    this.#untold = 0
  }

  async #entry(entry: OplogEntry): Promise<void> {
    const step = transactionStep(entry)
    if (step === 'commit') this.#commits.add(transactionKey(entry), entry)
    if (step !== undefined && this.#isCutAndInDump(entry)) return
    switch (step) {
      case 'part':
      case 'prepare':
        await this.#transactions.add(entry)
        return
      case 'whole':
      case 'commit':
        for await (const operation of this.#transactions.take(entry)) await this.#operation(operation, entry.ts)
        return
      case 'abort':
        await this.#transactions.discard(entry)
        return
      case undefined:
        await this.#operation(entry, entry.ts)
    }
  }

  #isCutAndInDump(entry: OplogEntry): boolean {
    const { cut } = this.#options
    return cut !== undefined && entry.previous !== 0n && !this.#transactions.has(entry) && cut.areInDump(entry)
  }

  async #operation(operation: Operation, ts: bigint, depth = 0): Promise<void> {
    const redirected = this.#options.routing?.redirect(operation)
    if (redirected !== undefined) {
      this.#operations++
      return this.#options.sink.change(redirected, false)
    }
    switch (classify(operation, ts, this.#options.choice !== undefined)) {
      case 'skip':
        return
      case 'nested':
        for (const inner of operationsInside(operation, ts, depth)) await this.#operation(inner, ts, depth + 1)
        return
      case 'change': {
        const chosen = this.#chosen(operation, ts)
        if (chosen !== undefined && !isExcluded(chosen.ns)) await this.#change(chosen)
        return
      }
      case 'command': {
        const chosen = this.#chosen(operation, ts)
        if (chosen === undefined || isExcluded(commandTarget(chosen))) return
        this.#operations++
        await this.#commands.run(chosen)
      }
    }
  }

  #chosen(operation: Operation, ts: bigint): Operation | undefined {
    const { choice } = this.#options
    return choice === undefined ? operation : choice.choose(operation, ts)
  }

  async #change(operation: Operation): Promise<void> {
    const { ns } = operation
    const id = isUsersOrRoles(ns) || isViews(ns) ? (changedId(operation) ?? '') : ''
    if (isUsersOrRoles(ns) && this.#options.isKept?.(ns, id) === true) return
    const byName = isKnownByName(ns) || operation.ui === undefined
    if (isViews(ns)) await this.#commands.ensureViews(ns, operation.op === 'i' ? id : undefined)
    const target: CatalogCollection | undefined = this.#catalog.find(byName ? undefined : operation.ui, ns)
    if (target === undefined && !isUsersOrRoles(ns)) {
      this.#commands.noteUnknown(operation.ui, ns)
      return
    }
    this.#operations++
    // The server wants the name of today beside the UUID.
    const change = { ...operation, ns: target?.ns ?? ns, ui: byName ? undefined : operation.ui }
    await this.#options.sink.change(change, target?.inOrder ?? true)
  }
}
