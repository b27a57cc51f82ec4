import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { readDocuments } from '../../mongo/raw-read.js'
import { earlier, optime, toTimestamp } from '../../oplog/entry.js'
import { none } from '../../plugin-host/none.js'
import type { OplogPiece } from '../data/stored-objects.js'

/**
 * How far back other shards may look for the end of a transaction that is still open there, in seconds: it ends on all of them
 * within moments, but for one that has no primary.
 */
const LOOK_BACK = 600

/**
 * What the oplog of files tells of transactions over several shards that were under way at their end, which nobody sees in the
 * data: which are open, and which have been committed. Empty where there is nothing.
 *
 * @param end of the files
 * @param before where other pieces of oplog begin
 */
export async function transactionEntries(
  client: MongoClient,
  end: bigint,
  before: bigint | undefined,
): Promise<OplogPiece[]> {
  const open = client.db('config').collection('transactions').find({ state: 'prepared' })
  let start = end - (BigInt(LOOK_BACK) << 32n)
  for await (const { startOpTime } of open) {
    if (startOpTime?.ts instanceof Timestamp) start = earlier(start, optime(startOpTime.ts))
  }
  const last = before === undefined || before > end ? { $lte: toTimestamp(end) } : { $lt: toTimestamp(before) }
  // Of a transaction each entry is a command that says whose it is.
  const filter = { op: 'c', txnNumber: { $exists: true }, ts: { $gte: toTimestamp(start), ...last } }
  const oplog = client.db('local').collection('oplog.rs')
  const bound = async (direction: 1 | -1): Promise<bigint | undefined> => {
    const options = { sort: { $natural: direction }, projection: { _id: 0, ts: 1 }, promoteLongs: false } as const
    const found: Document | null = await oplog.findOne(filter, options)
    return found === null ? undefined : optime(found.ts as Timestamp)
  }
  const [first, newest] = [await bound(1), await bound(-1)]
  if (first === undefined || newest === undefined) return []
  const read: OplogPiece['read'] = ({ signal }) =>
    readDocuments(client, 'local', 'oplog.rs', { signal, filter, hint: { $natural: 1 } })
  return [{ object: 'local.oplog.rs', start: first, end: newest, compression: none, read }]
}
