import { BSON, type Document, Long, Timestamp, UUID } from 'bson'
import { commandName, type Operation, type OplogEntry, parseEntry } from '../entry.js'
import type { OperationSink } from './apply.js'
import { IndexCatalog } from './index-catalog.js'

/** Raw BSON of a document. */
export function raw(document: Document): Buffer {
  return Buffer.from(BSON.serialize(document))
}

/** An entry as `local.oplog.rs` has it, at second 100 and the increment given. */
export function entry(increment: number, fields: Document): OplogEntry {
  return parseEntry(raw({ ts: new Timestamp({ t: 100, i: increment }), ...fields }))
}

export const COLLECTION = new UUID('11111111-1111-4111-8111-111111111111')
export const OTHER = new UUID('22222222-2222-4222-8222-222222222222')

export function bytes(uuid: UUID): Buffer {
  return Buffer.from(uuid.buffer)
}

export function session(): { lsid: Document; txnNumber: Long } {
  return { lsid: { id: OTHER }, txnNumber: Long.fromNumber(7) }
}

/** The entry of transaction `number` that comes after the one at `previous`; 0 for its first. */
export function transactionEntry(increment: number, number: number, o: Document, previous = 0): OplogEntry {
  return entry(increment, {
    op: 'c',
    ns: 'admin.$cmd',
    o,
    lsid: { id: OTHER },
    txnNumber: Long.fromNumber(number),
    prevOpTime: { ts: new Timestamp({ t: previous === 0 ? 0 : 100, i: previous }), t: Long.ONE },
  })
}

/** A catalog that knows the collection `shop.a`. */
export function shopCatalog(): IndexCatalog {
  const catalog = new IndexCatalog()
  catalog.create('shop.a', bytes(COLLECTION), undefined)
  return catalog
}

export async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

/** Notes what reaches the target, in words: `i shop.a 1`, `drop shop.$cmd`. */
export class RecordingSink implements OperationSink {
  readonly done: string[] = []
  readonly operations: Operation[] = []

  async change(operation: Operation): Promise<void> {
    const { _id } = BSON.deserialize(operation.o2 ?? operation.o)
    this.operations.push(operation)
    this.done.push(`${operation.op} ${operation.ns} ${_id}`)
  }

  async command(operation: Operation): Promise<void> {
    this.operations.push(operation)
    this.done.push(`${commandName(operation.o)} ${operation.ns}`)
  }

  async flush(): Promise<void> {}
}
