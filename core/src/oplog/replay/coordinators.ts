import { findDocument, findString } from '../../bson/elements.js'
import type { OplogEntry } from '../entry.js'

/** Where the primary shard of a database notes what it does to a sharded collection on all shards. */
export const COORDINATORS = 'config.system.sharding_ddl_coordinators'

/**
 * What leaves nothing half done behind: what of it counts is one transaction of the config servers, and a resharding under
 * way is passed over.
 */
const HARMLESS = /^(reshardCollection|createCollection|refineCollectionShardKey|setAllowMigrations)/

export interface UnderWay {
  /** Words for a message: `renameCollection of shop.orders`. */
  readonly what: string
  /** Of the server: `renameCollection`. */
  readonly operation: string
  /** What it is done to: a collection, or a whole database (`shop`). */
  readonly ns: string
  /** When it began; undefined where that was before the first entry. */
  readonly from: bigint | undefined
  /** When it ended; undefined where that is after the last entry. */
  readonly to: bigint | undefined
}

/**
 * Finds, in the oplog of a shard, the operations on sharded collections that had begun by a time and not ended: at that
 * time they were done on some shards and not on others. Entries come in their order.
 */
export class Coordinators {
  readonly #time: bigint
  readonly #open = new Map<string, UnderWay>()
  /** Begun after the time. */
  readonly #later = new Set<string>()
  #last = 0n

  constructor(time: bigint) {
    this.#time = time
  }

  take(entry: OplogEntry): void {
    const { op, ns, ts } = entry
    // Pieces may overlap.
    if (ts <= this.#last) return
    this.#last = ts
    const id = ns === COORDINATORS ? coordinatorOf(entry) : undefined
    if (id === undefined || isHarmless(id)) return
    const key = id.toString('latin1')
    const known = this.#open.get(key)
    if (ts > this.#time) {
      if (op === 'i') this.#later.add(key)
      if (op !== 'd' || this.#later.delete(key) || known?.to !== undefined) return
      this.#open.set(key, { ...described(id), from: known?.from, to: ts })
    } else if (op === 'd') this.#open.delete(key)
    else if (known === undefined)
      this.#open.set(key, { ...described(id), from: op === 'i' ? ts : undefined, to: undefined })
  }

  get underWay(): readonly UnderWay[] {
    return [...this.#open.values()]
  }
}

/** Which operation this change of {@link COORDINATORS} is of. */
export function coordinatorOf({ op, o, o2 }: Pick<OplogEntry, 'op' | 'o'> & Partial<OplogEntry>): Buffer | undefined {
  if (op !== 'i' && op !== 'u' && op !== 'd') return undefined
  return findDocument(op === 'u' ? (o2 ?? o) : o, '_id')
}

/** Nothing is half done while it is under way. */
export function isHarmless(id: Buffer): boolean {
  return HARMLESS.test(findString(id, 'operationType') ?? '')
}

/** `renameCollection of shop.orders` */
export function coordinatorWords(id: Buffer): string {
  return described(id).what
}

function described(id: Buffer): Pick<UnderWay, 'what' | 'operation' | 'ns'> {
  const operation = (findString(id, 'operationType') ?? '?').replace(/_V\d+$/, '')
  const ns = findString(id, 'namespace') ?? '?'
  return { what: `${operation} of ${ns}`, operation, ns }
}
