import { type Document, type MongoClient, Timestamp } from 'mongodb'

/**
 * Where the chunk that begins at `start` ends: with the last majority write `last`, or, while there is more to catch up
 * with than one span, with the first entry after a span. Always with an entry that is there: objects without any would
 * be empty, which readers take for missing.
 */
export async function chunkEnd(node: MongoClient, start: Timestamp, last: Timestamp, spanSeconds: number) {
  const cut = new Timestamp({ t: Math.min(0xffffffff, start.t + Math.max(1, Math.ceil(spanSeconds))), i: 0 })
  // A tick is never punctual; a little more than a span is still one chunk.
  const tolerated = new Timestamp({ t: Math.min(0xffffffff, cut.t + Math.ceil(spanSeconds / 2) + 5), i: 0 })
  if (last.lessThanOrEqual(tolerated)) return last
  const oplog = node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' })
  const found = await oplog.findOne(
    { ts: { $gte: cut, $lte: last } },
    { projection: { _id: 0, ts: 1 }, hint: { $natural: 1 } },
  )
  return (found?.ts as Timestamp | undefined) ?? last
}
