import { type Document, type MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { hello } from '../mongo/topology.js'

const ZERO = new Timestamp({ t: 0, i: 0 })
/** A distributed transaction commits within milliseconds of the look at it; more rounds than this mean something else. */
const ROUNDS = 100

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

/**
 * Where the oplog of a backup has to begin, so that replaying it onto a dump taken from now on is exact: the last write
 * of the majority, or, when older, the first entry of a transaction that is open now and may commit later.
 *
 * A transaction could commit between the look at the open ones and the last write: its commit would be replayed without
 * its beginning. So the window between the two is searched for such commits, and the look is taken again if there is one.
 */
export async function findOplogStart(node: MongoClient): Promise<Timestamp> {
  for (let round = 0; round < ROUNDS; round++) {
    const last = await majorityLastWrite(node)
    const open = await oldestOpenTransaction(node)
    if (await endedTransactionFromBefore(node, last)) continue
    return open?.lessThan(last) ? await startOfAllAcross(node, open, last) : last
  }
  throw new PbmError('OPLOG_START', 'transactions keep committing across every start that the oplog could have')
}

/**
 * A start before the last write may lie inside other transactions, which have ended since and are in the dump: their ends
 * would be replayed without their beginnings. Gives the beginning of the oldest of them all.
 */
async function startOfAllAcross(node: MongoClient, from: Timestamp, last: Timestamp): Promise<Timestamp> {
  let start = from
  for (let round = 0; round < ROUNDS; round++) {
    const across = await oplog(node, 'local')
      .find({ ts: { $gte: start, $lte: last }, op: 'c', 'prevOpTime.ts': { $gt: ZERO, $lt: start }, $or: TRANSACTION })
      .project({ _id: 0, prevOpTime: 1 })
      .toArray()
    if (across.length === 0) return start
    for (const { prevOpTime } of across) {
      const begin = await beginning(node, (prevOpTime as { ts: Timestamp }).ts)
      if (begin.lessThan(start)) start = begin
    }
  }
  throw new PbmError('OPLOG_START', 'transactions lie across every start that the oplog could have')
}

/** The first entry of the transaction that has an entry at `ts`. */
async function beginning(node: MongoClient, ts: Timestamp): Promise<Timestamp> {
  let first = ts
  for (;;) {
    const entry = await oplog(node, 'local').findOne({ ts: first }, { projection: { _id: 0, prevOpTime: 1 } })
    const before = (entry?.prevOpTime as { ts?: Timestamp } | undefined)?.ts
    if (before === undefined || before.equals(ZERO)) return first
    first = before
  }
}

/** Entries that begin, go on with or end a transaction; not those of retryable writes that were put into one entry. */
const TRANSACTION = [
  { 'o.commitTransaction': { $exists: true } },
  { 'o.applyOps': { $exists: true }, multiOpType: { $ne: 1 } },
]

/** The first oplog entry of the oldest transaction that is prepared or half written (PBM: control-plane.md §5.1, step 4). */
async function oldestOpenTransaction(node: MongoClient): Promise<Timestamp | undefined> {
  const [found] = await node
    .db('config')
    .collection('transactions', { readConcern: { level: 'local' }, readPreference: 'primaryPreferred' })
    .find({ state: { $in: ['prepared', 'inProgress'] }, 'startOpTime.ts': { $exists: true } })
    .sort({ 'startOpTime.ts': 1 })
    .limit(1)
    .toArray()
  return (found as { startOpTime?: { ts?: Timestamp } } | undefined)?.startOpTime?.ts
}

async function endedTransactionFromBefore(node: MongoClient, last: Timestamp): Promise<boolean> {
  const found = await oplog(node, 'local').findOne(
    {
      ts: { $gt: last },
      op: 'c',
      'prevOpTime.ts': { $gt: ZERO, $lte: last },
      $or: TRANSACTION,
    },
    { projection: { _id: 0, ts: 1 } },
  )
  return found !== null
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

function oplog(node: MongoClient, level: 'local' | 'majority') {
  return node
    .db('local')
    .collection<Document>('oplog.rs', { readConcern: { level }, readPreference: 'primaryPreferred' })
}

function text(timestamp: Timestamp): string {
  return `${new Date(timestamp.getHighBitsUnsigned() * 1000).toISOString()} (${timestamp.getHighBitsUnsigned()}, ${timestamp.getLowBitsUnsigned()})`
}
