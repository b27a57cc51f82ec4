import type { Document, MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import type { Clock } from '../../time/clock.js'
import { until } from '../../time/until.js'

/** How long what was copied may take to be the majority's. */
const MAJORITY_MS = 60_000
const MAJORITY_POLL_MS = 100

/** Backwards: this also works where reading forwards would wait. */
export async function newestEntry(node: MongoClient): Promise<Timestamp> {
  const newest = await oplog(node, 'local').findOne({}, { sort: { $natural: -1 }, projection: { _id: 0, ts: 1 } })
  if (newest === null) throw new PbmError('OPLOG_EMPTY', 'the oplog is empty')
  return newest.ts as Timestamp
}

/** A member may have what is rolled back later. What it is to be restored from must not. */
export async function requireMajority(
  { node, clock, signal }: { readonly node: MongoClient; readonly clock: Clock; readonly signal: AbortSignal },
  ts: Timestamp,
): Promise<void> {
  const isThere = async () =>
    (await oplog(node, 'majority').findOne({ ts }, { projection: { _id: 0, ts: 1 } })) !== null
  const patience = { everyMs: MAJORITY_POLL_MS, timeoutMs: MAJORITY_MS }
  if (await until(isThere, { clock, signal, ...patience })) return
  throw new PbmError('COPY_NOT_OF_MAJORITY', 'the copied files have a write that the majority does not have', {
    hint: 'It was rolled back, or a majority is away: see rs.status(), and make the backup again',
  })
}

function oplog(node: MongoClient, level: 'local' | 'majority') {
  return node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level }, readPreference: 'primaryPreferred' })
}
