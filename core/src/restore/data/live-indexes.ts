import type { MongoClient } from 'mongodb'
import { documentsIn } from '../../bson/documents.js'
import { findString } from '../../bson/elements.js'
import { PbmError } from '../../errors.js'
import { readCursor } from '../../mongo/raw-read.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'
import { isTrue } from '../../oplog/raw-fields.js'
import type { IndexCatalog } from '../../oplog/replay/index-catalog.js'
import { setExpiry } from './expiry.js'
import { type BuildOptions, buildIndexes } from './indexes.js'
import { catalogOf } from './target.js'

/** The collections of a target with the indexes they have: what a replay onto live data starts from. */
export async function liveCatalog(client: MongoClient, signal: AbortSignal): Promise<IndexCatalog> {
  const catalog = await catalogOf(client, undefined)
  for (const collection of catalog.collections()) {
    for (const spec of (await listIndexes(client, collection.ns, signal)).values()) {
      catalog.addIndex(collection, spec)
      // One document may take the key that another one has just given up.
      if (isTrue(spec, 'unique')) collection.inOrder = true
    }
  }
  return catalog
}

/** Drops at once what the replayed oplog drops: what a unique index forbids may follow. */
export async function dropLiveIndexes(client: MongoClient, ns: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    try {
      await client.db(databaseOf(ns)).command({ dropIndexes: collectionOf(ns), index: name })
    } catch (error) {
      // 26, 27: gone already.
      if (![26, 27].includes(Number((error as { code?: unknown }).code))) throw error
    }
  }
}

/**
 * Gives the target the indexes that the catalog ended with: drops those that changed, and builds what is missing. Gives
 * what can't be built.
 */
export async function settleIndexes(
  client: MongoClient,
  catalog: IndexCatalog,
  options: BuildOptions,
): Promise<string[]> {
  const present = new Map<string, Set<string>>()
  for (const { ns, indexes } of catalog.collections()) {
    const live = await listIndexes(client, ns, options.guard.signal)
    for (const [name, spec] of live) {
      // Both are raw definitions of the server, one as it lists it, one as it was logged.
      if (indexes.get(name)?.equals(spec) === true || isImplied(name, spec)) continue
      await dropLiveIndexes(client, ns, [name])
      live.delete(name)
    }
    present.set(ns, new Set(live.keys()))
  }
  const missing = catalog.wanted().map(({ ns, specs }) => ({
    ns,
    specs: specs.filter((spec) => present.get(ns)?.has(findString(spec, 'name') ?? '') !== true),
  }))
  const unbuilt = await buildIndexes(
    client,
    missing.filter(({ specs }) => specs.length > 0),
    options,
  )
  await setExpiry(client, catalog.expiring(), options)
  return unbuilt
}

function isImplied(name: string, spec: Buffer): boolean {
  return name === '_id_' || isTrue(spec, 'clustered')
}

async function listIndexes(client: MongoClient, ns: string, signal: AbortSignal): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  try {
    const command = { listIndexes: collectionOf(ns) }
    for await (const batch of readCursor(client, databaseOf(ns), command, { signal })) {
      for (const spec of documentsIn(batch)) found.set(findString(spec, 'name') ?? '', Buffer.from(spec))
    }
  } catch (error) {
    if (!(error instanceof PbmError) || error.code !== 'COLLECTION_MISSING') throw error
  }
  return found
}
