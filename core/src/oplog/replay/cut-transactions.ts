import type { OplogEntry } from '../entry.js'
import { transactionStep } from './transactions.js'

/**
 * Tells which transactions that begin before a stored oplog are in the dump beside it. PBM looks for the oldest open
 * transaction and begins with its first entry; one that began earlier had ended by then. Where none is open it begins with
 * the last write, which may itself be such an end (PBM: control-plane.md §5.1, step 4). Our own backups say where what is
 * not in the dump begins (`first_write_ts`), and need no guess.
 */
export class CutTransactions {
  #first: bigint | undefined
  #beginsWithTransaction = false

  /** Must be told every entry, in order. */
  see(entry: OplogEntry): void {
    if (this.#first !== undefined) return
    this.#first = entry.ts
    const step = transactionStep(entry)
    this.#beginsWithTransaction = entry.previous === 0n && (step === 'part' || step === 'prepare')
  }

  /** Of an entry whose transaction's beginning is not stored. */
  areInDump(entry: OplogEntry): boolean {
    return this.#beginsWithTransaction || entry.ts === this.#first
  }
}
