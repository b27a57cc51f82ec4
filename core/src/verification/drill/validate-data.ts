import type { MongoClient } from 'mongodb'

/** What the users' databases have. */
export interface ValidatedData {
  readonly collections: number
  /** Buckets, of time series. */
  readonly documents: number
  readonly indexes: number
  /** Those that are not valid. */
  readonly invalid: readonly InvalidCollection[]
}

export interface InvalidCollection {
  readonly ns: string
  /** What the server says, the first of it. */
  readonly what: string
}

/** The server's own. */
const OWN: ReadonlySet<string> = new Set(['admin', 'config', 'local'])
/** What defines views: no data of users. */
const VIEWS = 'system.views'
/** A document may be older than the rules of its collection: it is as it was stored (MongoDB 6.0 counts that as an error). */
const BY_SCHEMA = /not compliant with the collection's schema/
/** Of the errors of one collection: a damaged one may have as many as it has documents. */
const MOST_TOLD = 3

/**
 * Has the server read every document and index of the users' databases (`validate` with `full`). It locks each collection
 * meanwhile, so it is for servers that nobody else uses. Rejects with the signal's reason.
 */
export async function validateData(client: MongoClient, signal: AbortSignal): Promise<ValidatedData> {
  const invalid: InvalidCollection[] = []
  const seen = { collections: 0, documents: 0, indexes: 0 }
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
  signal.throwIfAborted()
  for (const { name } of databases.filter((database) => !OWN.has(database.name))) {
    const db = client.db(name)
    // A time series is listed as another type; its documents are in a collection of buckets.
    for await (const collection of db.listCollections({ type: 'collection' }, { nameOnly: true, signal })) {
      const answer = await db.command({ validate: collection.name, full: true }, { signal })
      if (collection.name !== VIEWS) {
        seen.collections += 1
        seen.documents += Number(answer.nrecords ?? 0)
        seen.indexes += Number(answer.nIndexes ?? 0)
      }
      const all: string[] = Array.isArray(answer.errors) ? answer.errors.map(String) : []
      const errors = all.filter((error) => !BY_SCHEMA.test(error))
      if (answer.valid === true || (all.length > 0 && errors.length === 0)) continue
      invalid.push({
        ns: `${name}.${collection.name}`,
        what: errors.slice(0, MOST_TOLD).join('; ') || 'it is not valid',
      })
    }
  }
  return { ...seen, invalid }
}
