import type { Document, MongoClient } from 'mongodb'
import { errorText } from '../errors.js'
import { CONTROL_DATABASE, LOG } from '../mongo/control-names.js'
import { type Clock, systemClock } from '../time/clock.js'
import { filterOf, findEntries, type LogEntry, type LogQuery, readEntry } from './log.js'

export interface FollowOptions {
  signal: AbortSignal
  clock?: Clock
  /** Told of each new kind of outage. */
  onTrouble?: (message: string) => void
}

const RETRY_MS = 200
const AWAIT_MS = 1_000
/** How far behind the newest entry another agent's clock may be for its entries to be followed. */
const CLOCK_SPREAD_SECONDS = 3_600

/**
 * The newest `tail` entries (20 when left out) and then every new one as it is written, until the signal aborts. Goes on
 * through elections, a restart and a dropped collection, without repeating an entry.
 */
export async function* followLog(
  leader: MongoClient,
  query: LogQuery,
  { signal, clock = systemClock, onTrouble }: FollowOptions,
): AsyncGenerator<LogEntry, undefined> {
  const log = leader.db(CONTROL_DATABASE).collection(LOG)
  const [last] = await findEntries(leader, { tail: 1 })
  const since = Math.max(query.since ?? 0, (last === undefined ? 0 : readEntry(last).ts) - CLOCK_SPREAD_SECONDS)
  const filter = filterOf({ ...query, since })
  // Entries of several agents arrive out of the order of their clocks, so what was shown is known by id, not by time.
  let shown = await idsOf(leader, filter)
  for (const found of await findEntries(leader, { ...query, tail: query.tail ?? 20 })) {
    shown.add(String(found._id))
    yield readEntry(found)
  }
  let trouble = ''
  while (!signal.aborted) {
    // Local: a majority read would sleep through the moment of the insert.
    const cursor = log.find(filter, {
      signal,
      readConcern: { level: 'local' },
      tailable: true,
      awaitData: true,
      maxAwaitTimeMS: AWAIT_MS,
    })
    try {
      for await (const found of cursor) {
        if (shown.has(String(found._id))) continue
        shown.add(String(found._id))
        yield readEntry(found)
      }
      trouble = ''
    } catch (error) {
      const text = errorText(error)
      if (!signal.aborted && text !== trouble) onTrouble?.(`following the log is interrupted: ${text}`)
      trouble = text
    } finally {
      await cursor.close().catch(() => undefined)
    }
    await clock.sleep(RETRY_MS, signal).catch(() => undefined)
    shown = shown.size > MAX_SHOWN ? new Set([...shown].slice(-MAX_SHOWN)) : shown
  }
  return undefined
}

/** More entries than an hour brings; a bound on memory for a command that may run for weeks. */
const MAX_SHOWN = 500_000

async function idsOf(leader: MongoClient, filter: Document): Promise<Set<string>> {
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(LOG)
    .find(filter, { projection: { _id: 1 } })
    .toArray()
  return new Set(found.map(({ _id }) => String(_id)))
}
