import { type Document, Long, type MongoClient, type ObjectId, type Timestamp, type WithId } from 'mongodb'
import type { Severity } from '../log.js'
import { CONTROL_DATABASE, LOG } from '../mongo/control-names.js'
import { readNumber } from './wire.js'

/** One line of the central log (PBM: control-plane.md §8). */
export interface LogEntry {
  /** Unix seconds. */
  ts: number
  /** Nanoseconds of that second. */
  ns: number
  /** Offset of the writer's time zone in seconds. */
  tz: number
  s: Severity
  rs: string
  node: string
  /** Event: the command's or lock's name, `pitr`, `agentCheckup` or ''. */
  e: string
  /** Name of the backup or restore, or ''. */
  eobj: string
  /** Epoch of the configuration. */
  ep?: Timestamp
  opid?: string
  msg: string
}

export interface LogQuery {
  /** The least severe level to show; 3 (info) when left out. */
  severity?: Severity
  /** Replica set. */
  rs?: string
  /** `host:port`. */
  node?: string
  event?: string
  object?: string
  opid?: string
  epoch?: Timestamp
  /** The newest so many; 0 for all. */
  tail?: number
  /** Unix seconds, inclusive. */
  since?: number
  until?: number
}

const log = (leader: MongoClient) => leader.db(CONTROL_DATABASE).collection(LOG)

export async function appendLog(leader: MongoClient, entries: readonly LogEntry[]): Promise<void> {
  if (entries.length > 0) await log(leader).insertMany(entries.map(toDocument))
}

/** Oldest first; with `tail`, the newest so many of them. */
export async function queryLog(leader: MongoClient, query: LogQuery = {}): Promise<LogEntry[]> {
  return (await findEntries(leader, query)).map(readEntry)
}

/** The same as stored, with their ids. */
export async function findEntries(leader: MongoClient, query: LogQuery): Promise<WithId<Document>[]> {
  const newestFirst = await log(leader)
    .find(filterOf(query), { sort: { ts: -1, ns: -1 }, limit: query.tail ?? 0 })
    .toArray()
  return newestFirst.reverse()
}

/** The newest error message of an operation: what its waiting CLI should tell. */
export async function lastError(leader: MongoClient, opid: string): Promise<string | undefined> {
  const [newest] = await log(leader)
    .find({ opid, s: { $lte: 1 } }, { sort: { $natural: -1 }, limit: 1 })
    .toArray()
  return newest === undefined ? undefined : readEntry(newest).msg
}

export function filterOf(query: LogQuery): Document {
  const { severity = 3, rs, node, event, object, opid, epoch, since, until } = query
  const ts = { ...(since === undefined ? {} : { $gte: since }), ...(until === undefined ? {} : { $lte: until }) }
  return {
    s: { $lte: severity },
    ...(rs === undefined ? {} : { rs }),
    ...(node === undefined ? {} : { node }),
    ...(event === undefined ? {} : { e: event }),
    ...(object === undefined ? {} : { eobj: object }),
    ...(opid === undefined ? {} : { opid }),
    ...(epoch === undefined ? {} : { ep: epoch }),
    ...(Object.keys(ts).length === 0 ? {} : { ts }),
  }
}

/** PBM's order and types: seconds as a long, the rest as int32; epoch and opid left out when there are none. */
function toDocument(entry: LogEntry): Document {
  const { ts, ns, tz, s, rs, node, e, eobj, ep, opid, msg } = entry
  return {
    ts: Long.fromNumber(ts),
    ...{ ns, tz, s, rs, node, e, eobj },
    ...(ep === undefined || ep.isZero() ? {} : { ep }),
    ...(opid === undefined || opid === '' ? {} : { opid }),
    msg,
  }
}

export function readEntry(found: Document & { _id?: ObjectId }): LogEntry {
  const { _id, ...raw } = found
  return {
    ...(raw as LogEntry),
    ts: readNumber(raw.ts),
    ns: readNumber(raw.ns),
    tz: readNumber(raw.tz),
    s: readNumber(raw.s) as Severity,
    rs: (raw.rs as string | undefined) ?? '',
    node: (raw.node as string | undefined) ?? '',
    e: (raw.e as string | undefined) ?? '',
    eobj: (raw.eobj as string | undefined) ?? '',
    msg: (raw.msg as string | undefined) ?? '',
  }
}
