import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import { readLevelOf } from '../../mongo/read-level.js'
import { hello } from '../../mongo/topology.js'
import { optime, toTimestamp } from '../entry.js'
import { type OplogStart, searchOplogStart } from './start.js'

const ZERO = new Timestamp({ t: 0, i: 0 })

/** The newest write of this member that a majority has, and that therefore can't be rolled back. */
export async function majorityLastWrite(node: MongoClient): Promise<Timestamp> {
  const ts = (await hello(node)).lastWrite?.majorityOpTime?.ts
  if (ts === undefined || ts.equals(ZERO)) {
    throw new PbmError('NO_MAJORITY', 'the member does not know yet what the majority has written', {
      hint: 'Wait until the replica set has a primary and this member follows it',
    })
  }
  return ts
}

/** The newest write of this member that reads of this client show: the majority has it, unless the client reads locally. */
export async function lastReadableWrite(node: MongoClient): Promise<Timestamp> {
  if (readLevelOf(node) === 'majority') return await majorityLastWrite(node)
  return (await hello(node)).lastWrite?.opTime?.ts ?? (await majorityLastWrite(node))
}

/** Where the oplog of a backup of this member has to begin: see {@link searchOplogStart}. */
export function findOplogStart(node: MongoClient): Promise<OplogStart> {
  return searchOplogStart({
    lastWrite: async () => optime(await lastReadableWrite(node)),
    oldestOpen: () => oldestOpenTransaction(node),
    across: (since) => transactionsAcross(node, toTimestamp(since)),
    previous: async (ts) => {
      const entry = await oplog(node, 'local').findOne(
        { ts: toTimestamp(ts) },
        { projection: { _id: 0, 'prevOpTime.ts': 1 } },
      )
      return previousOf(entry)
    },
  })
}

/** Entries that begin, go on with or end a transaction; not those of retryable writes that were put into one entry. */
const TRANSACTION = [
  { 'o.commitTransaction': { $exists: true } },
  { 'o.applyOps': { $exists: true }, multiOpType: { $ne: 1 } },
]

async function transactionsAcross(node: MongoClient, since: Timestamp): Promise<bigint[]> {
  const found = await oplog(node, 'local')
    .find({ ts: { $gte: since }, op: 'c', 'prevOpTime.ts': { $gt: ZERO, $lt: since }, $or: TRANSACTION })
    .project({ _id: 0, 'prevOpTime.ts': 1 })
    .toArray()
  return found.flatMap((entry) => previousOf(entry) ?? [])
}

function previousOf(entry: Document | null): bigint | undefined {
  const ts = (entry?.prevOpTime as { ts?: Timestamp } | undefined)?.ts
  return ts === undefined || ts.equals(ZERO) ? undefined : optime(ts)
}

/** The first oplog entry of the oldest transaction that is prepared or half written (PBM: control-plane.md §5.1, step 4). */
async function oldestOpenTransaction(node: MongoClient): Promise<bigint | undefined> {
  const [found] = await node
    .db('config')
    .collection('transactions', { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' })
    .find({ state: { $in: ['prepared', 'inProgress'] }, 'startOpTime.ts': { $exists: true } })
    .sort({ 'startOpTime.ts': 1 })
    .limit(1)
    .toArray()
  const ts = (found as { startOpTime?: { ts?: Timestamp } } | undefined)?.startOpTime?.ts
  return ts === undefined ? undefined : optime(ts)
}

/** Throws `OPLOG_ROLLED_OVER` when the oplog does not reach back to `start` any more. */
export async function requireOplogSince(node: MongoClient, start: Timestamp): Promise<void> {
  const oldest = (await oplog(node, 'local').findOne({}, { sort: { $natural: 1 }, projection: { _id: 0, ts: 1 } })) as {
    ts: Timestamp
  } | null
  if (oldest === null || oldest.ts.greaterThan(start)) {
    throw new PbmError('OPLOG_ROLLED_OVER', `the oplog does not reach back to ${text(start)} any more`, {
      hint: 'Enlarge the oplog (replSetResizeOplog), or lower backup.oplogSpanMin so that it is saved more often',
    })
  }
}

/**
 * Throws `OPLOG_INCOMPLETE` unless `last` is the last entry up to the end of the range, and the oplog reaches so far. A
 * majority read shows less where the server has been restarted meanwhile and does not know yet what the majority has.
 */
export async function requireWholeRange(
  node: MongoClient,
  last: Timestamp | undefined,
  { start, end, startExcluded }: { start: Timestamp; end: Timestamp; startExcluded?: boolean },
): Promise<void> {
  if (last?.equals(end)) return
  const from = last === undefined && startExcluded !== true ? { $gte: start } : { $gt: last ?? start }
  const projection = { _id: 0, ts: 1 }
  // The end need not be an entry: where writes are under way, it may be a moment before the next one.
  const missed = await oplog(node, 'local').findOne({ ts: { ...from, $lte: end } }, { projection })
  const newest = missed ?? (await oplog(node, 'local').findOne({}, { sort: { $natural: -1 }, projection }))
  const ts = newest?.ts as Timestamp | undefined
  if (missed === null && ts !== undefined && ts.greaterThanOrEqual(end)) return
  throw new PbmError(
    'OPLOG_INCOMPLETE',
    `the server gave the oplog up to ${text(last ?? start)} only, and not to ${text(end)}`,
    { hint: 'Was this member restarted? Repeat the backup; what is stored continuously is read again by itself' },
  )
}

function oplog(node: MongoClient, level: 'local' | 'majority') {
  return node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level }, readPreference: 'primaryPreferred' })
}

function text(timestamp: Timestamp): string {
  return `${new Date(timestamp.getHighBitsUnsigned() * 1000).toISOString()} (${timestamp.getHighBitsUnsigned()}, ${timestamp.getLowBitsUnsigned()})`
}
