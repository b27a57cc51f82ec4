import type { MongoClient } from 'mongodb'

export interface InvalidCollection {
  readonly ns: string
  /** What the server says, the first of it. */
  readonly what: string
}

/** The server's own. */
const OWN: ReadonlySet<string> = new Set(['admin', 'config', 'local'])
/** Of the errors of one collection: a damaged one may have as many as it has documents. */
const MOST_TOLD = 3

/**
 * Has the server read every document and index of the users' databases (`validate` with `full`). It locks each collection
 * meanwhile, so it is for servers that nobody else uses. Rejects with the signal's reason.
 *
 * @returns collections that are not valid
 */
export async function validateData(client: MongoClient, signal: AbortSignal): Promise<InvalidCollection[]> {
  const invalid: InvalidCollection[] = []
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true })
  signal.throwIfAborted()
  for (const { name } of databases.filter((database) => !OWN.has(database.name))) {
    const db = client.db(name)
    // A time series is listed as another type; its documents are in a collection of buckets.
    for await (const collection of db.listCollections({ type: 'collection' }, { nameOnly: true, signal })) {
      const answer = await db.command({ validate: collection.name, full: true }, { signal })
      if (answer.valid === true) continue
      const errors = Array.isArray(answer.errors) ? answer.errors.slice(0, MOST_TOLD).map(String) : []
      invalid.push({ ns: `${name}.${collection.name}`, what: errors.join('; ') || 'it is not valid' })
    }
  }
  return invalid
}
