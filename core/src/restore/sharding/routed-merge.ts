import { BSON, type Document } from 'bson'
import type { MongoClient } from 'mongodb'
import { arrayElement, buildDocument, documentElement, type RawElement } from '../../bson/build.js'
import { documentsIn, wholeDocuments } from '../../bson/documents.js'
import { BSON_ARRAY, BSON_INT32, BSON_STRING, findDocument, findField, findString } from '../../bson/elements.js'
import type { OperationLog } from '../../log.js'
import { RawValue } from '../../mongo/raw-command.js'
import { readCursor, readDocuments } from '../../mongo/raw-read.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { binaryElement, elementsOf, findUuid } from '../../oplog/raw-fields.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { RoutingTables } from './routing-tables.js'

/** Ids that are looked for at once. */
const IDS_AT_ONCE = 1_000
/** Of its own making, so that no index of the collection is in its way. */
const OWN_INDEX = 'pbmkit_shard_key'
/** Bounds are values of the shard key, which are compared as they are. */
const SIMPLE = { locale: 'simple' } as const

export interface MergeContext {
  /** Direct connection to the primary of this shard. */
  readonly client: MongoClient
  readonly leader: MongoClient
  readonly shardId: string
  /** Ids of shards, in the backup → in the cluster. */
  readonly ids: ReadonlyMap<string, string>
  readonly guard: DeadlineGuard
  readonly log: OperationLog
}

/** A collection that was sharded, as it was at the restored time. */
interface Owned {
  readonly key: Buffer
  readonly ranges: AsyncIterable<Range>
}

/** Of shard keys: `min` is in it, `max` is not. */
interface Range {
  readonly min: Buffer
  readonly max: Buffer
}

/** A collection that the cluster has. */
export interface RoutedTarget {
  /** Fields of its shard key; none where it is not sharded. */
  readonly shardKey: readonly string[]
  /** How many documents {@link missing} has left out so far. */
  readonly known: number
  /** Of documents of the staged collection `name`, those whose `_id` the cluster does not have, on whichever shard. */
  missing(name: string, documents: AsyncIterable<Buffer>): AsyncIterable<Buffer>
}

/**
 * Takes what each shard has put together aside to where it belongs now, which may be another shard, for chunks have moved and
 * collections were sharded or sharded anew since. Each shard reads of its own part only what was in its chunks then: what
 * else lies there (a chunk on the move, a range not deleted yet) is older than what its owner has. What it reads it hands to
 * the router within its own mongod (`clusterInsert`, which servers have since 6.0): this finds the shards as a mongos would, by
 * versions that they check, so no document can land where nobody looks for it, whatever moves meanwhile. Agents need no
 * connection to other shards for that, and no mongos. What is put together is listed in no routing table.
 */
export class RoutedMerge {
  readonly #context: MergeContext
  readonly #tables: RoutingTables

  constructor(context: MergeContext) {
    this.#context = context
    this.#tables = new RoutingTables(context.leader, context.log)
  }

  /**
   * The documents of the staged collection `name` that were in chunks of this shard; undefined where `from`, its name then,
   * was not sharded, and all are. `query` keeps those that match.
   */
  async owned(name: string, from: string, query: Buffer | undefined): Promise<AsyncIterable<Buffer> | undefined> {
    const found = await this.#ownedRanges(from)
    return found && this.#read(name, found, query)
  }

  /** How documents get into the collection `ns`, which is there. */
  async target(ns: string): Promise<RoutedTarget> {
    const collections = this.#context.leader.db('config').collection<{ _id: string; key: Document }>('collections')
    const key = (await collections.findOne({ _id: ns }))?.key ?? {}
    const shardKey = Object.keys(key)
    // Each document that has this `_id` is on the one shard, whose index finds it.
    const isById = shardKey.length === 0 || (shardKey.length === 1 && shardKey[0] === '_id')
    let known = 0
    const missing = (name: string, documents: AsyncIterable<Buffer>) =>
      this.#missing({ name, ns }, documents, (count) => {
        known += count
      })
    return {
      shardKey,
      get known() {
        return known
      },
      missing: isById ? (_, documents) => documents : missing,
    }
  }

  async #ownedRanges(from: string): Promise<Owned | undefined> {
    for await (const raw of this.#tables.staged('collections', { filter: { _id: from } })) {
      const [uuid, key] = [findUuid(raw, 'uuid'), findDocument(raw, 'key')]
      if (uuid === undefined || key === undefined) continue
      return { key, ranges: this.#ranges(RawValue.document(buildDocument([binaryElement('uuid', uuid, 4)]))) }
    }
    return undefined
  }

  /** In their order; those that meet are one. */
  async *#ranges(filter: RawValue): AsyncGenerator<Range> {
    const { ids, shardId } = this.#context
    let last: Range | undefined
    for await (const chunk of this.#tables.staged('chunks', { filter, sort: { min: 1 } })) {
      const [before, min, max] = [
        findString(chunk, 'shard') ?? '',
        findDocument(chunk, 'min'),
        findDocument(chunk, 'max'),
      ]
      if ((ids.get(before) ?? before) !== shardId || min === undefined || max === undefined) continue
      if (last?.max.equals(min) === true) last = { min: last.min, max: Buffer.from(max) }
      else {
        if (last !== undefined) yield last
        last = { min: Buffer.from(min), max: Buffer.from(max) }
      }
    }
    if (last !== undefined) yield last
  }

  async *#read(name: string, { key, ranges }: Owned, query: Buffer | undefined): AsyncGenerator<Buffer> {
    const { client, guard } = this.#context
    const [db, collection] = [databaseOf(name), collectionOf(name)]
    // Documents match by the rules of their collection, and ranges by none.
    if (query !== undefined) await this.#deleteOthers(db, collection, query)
    const hint = await this.#indexOn(db, collection, key)
    for await (const { min, max } of ranges) {
      const command = {
        find: collection,
        ...{ min: RawValue.document(min), max: RawValue.document(max) },
        ...{ hint, collation: SIMPLE, noCursorTimeout: true, readConcern: { level: 'local' } },
      }
      yield* readCursor(client, db, command, { signal: guard.signal })
    }
  }

  /** Gives its name. */
  async #indexOn(db: string, collection: string, key: Buffer): Promise<string> {
    const { client, guard } = this.#context
    const [field, ...more] = elementsOf(key)
    // The server makes no second one on it.
    if (field?.name === '_id' && field.type !== BSON_STRING && more.length === 0) return '_id_'
    const index = buildDocument([
      documentElement('key', key),
      ...elementsOf(Buffer.from(BSON.serialize({ name: OWN_INDEX, collation: SIMPLE }))),
    ])
    guard.throwIfStopped()
    const indexes = RawValue.documents([index])
    // Nobody else reads it.
    await client.db(db).command({ createIndexes: collection, indexes, commitQuorum: 1 })
    return OWN_INDEX
  }

  async #deleteOthers(db: string, collection: string, query: Buffer): Promise<void> {
    const { client, guard } = this.#context
    const others = buildDocument([
      documentElement('q', buildDocument([arrayElement('$nor', [query])])),
      { name: 'limit', type: BSON_INT32, value: Buffer.alloc(4) },
    ])
    guard.throwIfStopped()
    await client.db(db).command({ delete: collection, deletes: RawValue.documents([others]), writeConcern: { w: 1 } })
  }

  async *#missing(
    of: { readonly name: string; readonly ns: string },
    documents: AsyncIterable<Buffer>,
    onKnown: (count: number) => void,
  ): AsyncGenerator<Buffer> {
    for await (const whole of wholeDocuments(documents)) {
      const all = [...documentsIn(whole)]
      for (let at = 0; at < all.length; at += IDS_AT_ONCE) {
        const some = new Map(all.slice(at, at + IDS_AT_ONCE).map((document) => [idOf(document), document]))
        const count = some.size
        for (const id of await this.#known(of, some)) some.delete(id)
        onKnown(count - some.size)
        if (some.size > 0) yield Buffer.concat([...some.values()])
      }
    }
  }

  /** Ids that the cluster has, as the staged documents write them: 1 and 1.0 are the same `_id`. */
  async #known(
    { name, ns }: { readonly name: string; readonly ns: string },
    documents: ReadonlyMap<string, Buffer>,
  ): Promise<string[]> {
    const { client, guard } = this.#context
    const filter = idsIn([...documents.values()])
    const find = {
      ...{ clusterFind: collectionOf(ns), filter, projection: { _id: 1 } },
      ...{ singleBatch: true, batchSize: 100 * IDS_AT_ONCE, readConcern: { level: 'local' } },
    }
    const found: Buffer[] = []
    for await (const batch of readCursor(client, databaseOf(ns), find, { signal: guard.signal }))
      found.push(...documentsIn(batch))
    const known = found.map(idOf).filter((id) => documents.has(id))
    const others = found.filter((document) => !documents.has(idOf(document)))
    if (others.length === 0) return known
    const options = {
      filter: idsIn(others),
      projection: { _id: 1 },
      readConcern: 'local',
      signal: guard.signal,
    } as const
    for await (const batch of readDocuments(client, databaseOf(name), collectionOf(name), options))
      known.push(...[...documentsIn(batch)].map(idOf))
    return known
  }
}

/** Type and bytes of the `_id`. */
function idOf(document: Buffer): string {
  const id = findField(document, '_id')
  return id === undefined ? '' : `${id.type} ${document.toString('latin1', id.value, id.end)}`
}

/** Matches the documents that have one of these ids. */
function idsIn(documents: readonly Buffer[]): RawValue {
  const ids = documents.flatMap((document, index): RawElement[] => {
    const id = findField(document, '_id')
    return id === undefined ? [] : [{ name: String(index), type: id.type, value: document.subarray(id.value, id.end) }]
  })
  const list: RawElement = { name: '$in', type: BSON_ARRAY, value: buildDocument(ids) }
  return RawValue.document(buildDocument([documentElement('_id', buildDocument([list]))]))
}
