import { createRequire } from 'node:module'
import { deserialize, type Long } from 'bson'
import type { Db, Document, MongoClient } from 'mongodb'

interface Cursor {
  readonly id: Long
  readonly firstBatch?: readonly Uint8Array[]
  readonly nextBatch?: readonly Uint8Array[]
}

/** Every document of a collection in `_id` order, as the bytes the server keeps. */
export async function* rawDocuments(client: MongoClient, db: string, collection: string): AsyncIterable<Uint8Array> {
  // A cursor belongs to the session that opened it.
  const session = client.startSession()
  try {
    const run = async (command: Document): Promise<Cursor> => {
      // With `raw` the driver leaves the fields of the reply encoded.
      const reply = await client.db(db).command(command, { raw: true, session })
      const options = { fieldsAsRaw: { firstBatch: true, nextBatch: true }, promoteLongs: false }
      return deserialize(reply.cursor as Uint8Array, options) as Cursor
    }
    let cursor = await run({ find: collection, sort: { _id: 1 }, allowDiskUse: true })
    yield* cursor.firstBatch ?? []
    while (!cursor.id.isZero()) {
      cursor = await run({ getMore: cursor.id, collection })
      yield* cursor.nextBatch ?? []
    }
  } finally {
    await session.endSession()
  }
}

interface DocumentSequence {
  push(document: Document, bytes: Uint8Array): number
}
type DocumentSequenceConstructor = new (field: string) => DocumentSequence

/**
 * Inserts documents that no driver would build: the bytes go to the server as they are. The driver has no public
 * way to send raw documents; its own message sections, which this uses, take bytes.
 */
export async function insertRaw(db: Db, collection: string, documents: readonly Uint8Array[]): Promise<void> {
  const driver = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as {
    DocumentSequence: DocumentSequenceConstructor
  }
  const sequence = new driver.DocumentSequence('documents')
  for (const bytes of documents) sequence.push({}, bytes)
  await db.command({ insert: collection, documents: sequence, writeConcern: { w: 'majority' } })
}
