import { setTimeout as sleep } from 'node:timers/promises'
import { insertDocuments } from '@pbmkit/core'
import { BSON } from 'bson'
import type { MongoClient } from 'mongodb'

/** Documents a command; each is an oplog entry of its own. */
const BATCH = 500
/** Commands under way, so that the server is not idle between them. */
const IN_FLIGHT = 4

/**
 * Inserts `rate` small documents a second for as long as it is told, in even steps; a server that can't take as many gets
 * as many as it takes. The commands are made once and sent raw, for the writer shares the machine with what is measured.
 * The server adds `_id`. Gives how many were written in how many seconds.
 */
export async function writeSmall(
  client: MongoClient,
  { database, collection }: { database: string; collection: string },
  { rate, seconds }: { rate: number; seconds: number },
): Promise<{ written: number; seconds: number }> {
  const commands = Array.from({ length: 16 }, (_, index) => batch(index))
  const begun = performance.now()
  const elapsed = () => (performance.now() - begun) / 1000
  async function* paced() {
    for (let sent = 0; elapsed() < seconds; sent += BATCH) {
      const command = commands[(sent / BATCH) % commands.length]
      if (command !== undefined) yield command
      await sleep(Math.max(0, ((sent + BATCH) / rate - elapsed()) * 1000))
    }
  }
  const batchBytes = Math.max(...commands.map(({ length }) => length))
  const { documents } = await insertDocuments(client, database, collection, paced(), {
    inFlight: IN_FLIGHT,
    batchBytes,
  })
  return { written: documents, seconds: elapsed() }
}

function batch(index: number): Buffer {
  const documents = Array.from({ length: BATCH }, (_, place) =>
    BSON.serialize({ n: index * BATCH + place, account: (place * 7919) % 1000, text: 'a small document' }),
  )
  return Buffer.concat(documents)
}
