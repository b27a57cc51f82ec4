import type { Operation } from '../entry.js'
import type { OperationSink } from './apply.js'
import type { CutTransactions } from './cut-transactions.js'
import type { IndexCatalog } from './index-catalog.js'
import type { TransactionBounds } from './transactions.js'

export interface ReplayOptions {
  readonly sink: OperationSink
  /** What the target has now; kept up to date. Its indexes are to be built when the replay is over. */
  readonly catalog: IndexCatalog
  /** Inclusive; of the entries before it only transactions count that commit later. */
  readonly start?: bigint
  /** Inclusive. */
  readonly end: bigint
  /** Users and roles (by `_id`, `db.name`) that must stay as they are: those of the connection. */
  readonly isKept?: (ns: string, id: string) => boolean
  /** UUID (hex) → namespace, as the target says, of one database: asked when the server chose names itself. */
  listNames(db: string): Promise<ReadonlyMap<string, string>>
  /** Set where a part of the data is replayed. */
  readonly choice?: OperationChoice | undefined
  readonly transactions?: TransactionBounds | undefined
  /** Set for an oplog that may begin inside transactions which are in the dump. */
  readonly cut?: CutTransactions | undefined
  /** On config servers: takes the changes of the routing tables, which are otherwise passed over. */
  readonly routing?: RoutingReplay | undefined
  /** Where the target has its indexes already: removes those that the oplog drops, before what they would forbid. */
  readonly dropIndexes?: (ns: string, names: readonly string[]) => Promise<void>
  /** Told now and then, with the entries taken since the last time and the `ts` reached. */
  readonly onProgress?: (entries: number, reached: bigint) => void
}

/** Where a replay sends changes of routing tables. */
export interface RoutingReplay {
  /** The change as it is to be applied; undefined for one that is not of a routing table. */
  redirect(operation: Operation): Operation | undefined
}

/** Which operations of an oplog are replayed. */
export interface OperationChoice {
  /** The change or command as it is to be applied; undefined where it is left out. `ts` is that of its entry. */
  choose(operation: Operation, ts: bigint): Operation | undefined
}
