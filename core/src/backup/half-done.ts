import type { Document, MongoClient, Timestamp } from 'mongodb'
import { documentsIn, wholeDocuments } from '../bson/documents.js'
import type { BackupDocument, HalfDone } from '../control/backup-document.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { readDocuments } from '../mongo/raw-read.js'
import { optime, parseEntry, toTimestamp } from '../oplog/entry.js'
import { COORDINATORS, coordinatorOf, coordinatorWords, isHarmless } from '../oplog/replay/coordinators.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

/** How long an operation on a sharded collection may take before a backup goes on without waiting for it. */
const PATIENCE_MS = 60_000
const POLL_MS = 200

interface Waiting {
  readonly clock: Clock
  readonly log: OperationLog
  readonly signal: AbortSignal
}

/**
 * Waits, on a shard, until no operation on a sharded collection (a rename, a drop and so on) is under way: shards are at
 * different steps of it. What begins later is found by {@link halfDoneSince}.
 */
export async function awaitNothingHalfDone(node: MongoClient, { clock, log, signal }: Waiting): Promise<void> {
  let told = false
  const isQuiet = async () => {
    const [one] = await running(node)
    if (one !== undefined && !told) log.info(`waits for ${one} to end, which shards are at different steps of`)
    told ||= one !== undefined
    return one === undefined
  }
  await until(isQuiet, { clock, signal, everyMs: POLL_MS, timeoutMs: PATIENCE_MS })
}

/** What was under way on a shard at some time from `since` on. */
export async function halfDoneSince(node: MongoClient, since: Timestamp, signal: AbortSignal): Promise<HalfDone[]> {
  const found = new Map<string, HalfDone>((await running(node)).map((what) => [what, { what }]))
  const ended: HalfDone[] = []
  const source = readDocuments(node, 'local', 'oplog.rs', {
    signal,
    filter: { ts: { $gte: since }, ns: COORDINATORS, op: { $in: ['i', 'd'] } },
    hint: { $natural: 1 },
  })
  for await (const documents of wholeDocuments(source)) {
    for (const entry of [...documentsIn(documents)].map(parseEntry)) {
      const id = coordinatorOf(entry)
      if (id === undefined || isHarmless(id)) continue
      const what = coordinatorWords(id)
      const ts = toTimestamp(entry.ts)
      if (entry.op === 'i') found.set(what, { what, from: ts })
      else {
        ended.push({ ...found.get(what), what, to: ts })
        found.delete(what)
      }
    }
  }
  return [...ended, ...found.values()]
}

/** Throws `BACKUP_HALF_DONE` where the backup's end lies within an operation on a sharded collection. Pure. */
export function refuseHalfDone({ replsets }: Pick<BackupDocument, 'replsets'>): void {
  const end = replsets.map(({ last_write_ts }) => optime(last_write_ts)).reduce((a, b) => (b < a ? b : a))
  const isOpen = ({ from, to }: HalfDone) =>
    (from === undefined || optime(from) <= end) && (to === undefined || optime(to) > end)
  const one = replsets.flatMap(({ half_done = [] }) => half_done).find(isOpen)
  if (one === undefined) return
  throw new PbmError('BACKUP_HALF_DONE', `At the end of the backup ${one.what} was done on some shards only`, {
    hint: 'Make it again',
  })
}

async function running(node: MongoClient): Promise<string[]> {
  const [db, ...rest] = COORDINATORS.split('.')
  const ids = node
    .db(db)
    .collection<Document>(rest.join('.'))
    .find({}, { projection: { _id: 1 }, raw: true })
  const found = (await ids.toArray()) as unknown as Buffer[]
  return found.flatMap((document) => {
    const id = coordinatorOf({ op: 'i', o: document })
    return id === undefined || isHarmless(id) ? [] : [coordinatorWords(id)]
  })
}
