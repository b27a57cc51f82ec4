import { findField } from '../../bson/elements.js'
import type { OplogEntry } from '../entry.js'

/** A decision to commit a transaction that was prepared. */
export interface Commit {
  /** As `transactionKey` has it. */
  readonly key: string
  /** The same on all shards of the transaction; the entry itself has another `ts` on each. */
  readonly commitTimestamp: bigint
}

/**
 * So many are remembered. A shard writes its decision down within moments of the others, so that only the newest can be
 * missing somewhere at one cluster time; PBM remembers a hundred.
 */
const MOST = 20_000

/** The newest decisions to commit. */
export class CommitLog {
  readonly #commits = new Map<string, bigint>()

  get all(): Commit[] {
    return [...this.#commits].map(([key, commitTimestamp]) => ({ key, commitTimestamp }))
  }

  add(key: string, { o, ts }: Pick<OplogEntry, 'o' | 'ts'>): void {
    const field = findField(o, 'commitTimestamp')
    this.#commits.delete(key)
    this.#commits.set(key, field?.type === 0x11 ? o.readBigUInt64LE(field.value) : ts)
    const [oldest] = this.#commits.keys()
    if (this.#commits.size > MOST && oldest !== undefined) this.#commits.delete(oldest)
  }
}
