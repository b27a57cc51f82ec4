import { BSON } from 'bson'
import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { buildDocument, documentElement } from '../../bson/build.js'
import type { MergedNamespace } from '../../control/restore-document.js'
import { RawValue } from '../../mongo/raw-command.js'
import { readCursor, readDocuments } from '../../mongo/raw-read.js'
import { insertDocuments } from '../../mongo/raw-write.js'
import { bucketsOf, isBuckets, userName } from '../../mongo/time-series.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { isTrue } from '../../oplog/raw-fields.js'
import type { IndexCatalog, WantedExpiry, WantedIndexes } from '../../oplog/replay/index-catalog.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { createCollections } from '../data/collections.js'
import type { RoutedMerge } from '../sharding/routed-merge.js'
import type { Staged } from './staged.js'

/** How many documents that were left out the record names, of each namespace. */
const MOST_LISTED = 20

export interface Merging {
  readonly staged: ReadonlyMap<string, Staged>
  /** Of the documents that go on; undefined for all. */
  readonly query: Buffer | undefined
  /** See {@link SelectivePlan}. */
  readonly placeUuids: ReadonlyMap<string, Buffer>
  /** In a sharded cluster. */
  readonly routed: RoutedMerge | undefined
  readonly guard: DeadlineGuard
  readonly progress: ProgressPublisher
}

/**
 * Takes what was put together to where it belongs: documents whose `_id` is not there yet. What is there is not changed. What
 * the target does not have is created as it was. Gives what became of the documents.
 */
export async function mergeStaged(client: MongoClient, merging: Merging): Promise<MergedNamespace[]> {
  const { staged, query, placeUuids, routed, guard, progress } = merging
  progress.phase('merge')
  const merged: MergedNamespace[] = []
  for (const [name, { ns, from, exists }] of staged) {
    const definition = await definitionOf(client, { name, ns, uuid: placeUuids.get(name) })
    // What the oplog created and dropped again was never made.
    if (definition === undefined) continue
    if (!exists) await createCollections(client, [definition], guard)
    const ordered = definition.options !== undefined && isTrue(definition.options, 'capped')
    const own = await routed?.owned(name, from, query)
    const read = own ?? matching(client, { name, type: definition.type, ordered }, merging)
    const target = exists ? await routed?.target(ns) : undefined
    const documents = target?.missing(name, read) ?? read
    const listed: MergedNamespace['left_out'] = []
    let conflicts = 0
    const written = await insertDocuments(client, databaseOf(ns), collectionOf(ns), documents, {
      guard,
      ordered,
      keepExisting: !ordered,
      router: target,
      onConflict: (conflict) => {
        conflicts += 1
        if (listed.length < MOST_LISTED) listed.push(conflict)
      },
      onProgress: () => progress.add(0, 0),
    })
    const { documents: all, duplicates } = written
    const existing = duplicates + (target?.known ?? 0)
    merged.push({ ns, inserted: all - duplicates - conflicts, existing, conflicts, left_out: listed })
  }
  return merged
}

/** Read as it was written, by this very node. */
function matching(
  client: MongoClient,
  { name, type, ordered }: { readonly name: string; readonly type: string; readonly ordered: boolean },
  { query, guard: { signal } }: Merging,
): AsyncGenerator<Buffer> {
  const [db, collection] = [databaseOf(name), collectionOf(name)]
  const readConcern = 'local'
  if (type !== 'timeseries') {
    return readDocuments(client, db, collection, {
      ...{ signal, readConcern },
      ...(query === undefined ? {} : { filter: RawValue.document(query) }),
      // The order of a capped collection is its content.
      ...(ordered ? { hint: { $natural: 1 } } : {}),
    })
  }
  const stages = query === undefined ? [] : [buildDocument([documentElement('$match', query)])]
  const pipeline = RawValue.documents(stages)
  return readCursor(
    client,
    db,
    { aggregate: collection, pipeline, cursor: {}, readConcern: { level: readConcern } },
    { signal },
  )
}

/** As it is by now: the oplog may have changed it. */
async function definitionOf(
  client: MongoClient,
  { name, ns, uuid }: { readonly name: string; readonly ns: string; readonly uuid: Buffer | undefined },
): Promise<NamespaceMetadata | undefined> {
  const [from, to] = [name, ns].map((one) => ({ db: databaseOf(one), collection: collectionOf(one) }))
  if (from === undefined || to === undefined) return undefined
  const db = client.db(from.db)
  const [listed] = await db
    .listCollections({ name: from.collection }, { nameOnly: false, promoteValues: false })
    .toArray()
  if (listed === undefined) return undefined
  const type = listed.type === 'timeseries' ? 'timeseries' : 'collection'
  const indexes = type === 'timeseries' ? [] : await db.collection(from.collection).listIndexes().toArray()
  return {
    ...{ ...to, collectionName: to.collection, type, crc: 0n, size: 0 },
    ...(uuid === undefined ? {} : { [type === 'collection' ? 'uuid' : 'bucketsUuid']: uuid.toString('hex') }),
    options: Buffer.from(BSON.serialize(listed.options ?? {})),
    indexes: indexes.map((spec) => Buffer.from(BSON.serialize(spec))),
  }
}

/** The indexes and the expiry that are still to be made, at the places of the end. Those of the target stay its own. */
export function atTheEnd(
  catalog: IndexCatalog,
  staged: ReadonlyMap<string, Staged>,
): { readonly indexes: WantedIndexes[]; readonly expiring: WantedExpiry[] } {
  const final = (ns: string): string | undefined => {
    const found = staged.get(userName(ns))
    if (found === undefined) return ns
    if (!found.isIndexed) return undefined
    return isBuckets(ns) ? bucketsOf(found.ns) : found.ns
  }
  const moved = <T extends { readonly ns: string }>(one: T): T[] => {
    const ns = final(one.ns)
    return ns === undefined ? [] : [{ ...one, ns }]
  }
  return { indexes: catalog.wanted().flatMap(moved), expiring: catalog.expiring().flatMap(moved) }
}
