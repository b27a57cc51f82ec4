import { type MongoClient, Timestamp } from 'mongodb'
import { readConfigAndTime } from '../control/config.js'
import type { ChunkEnd, Notice } from '../control/notice-state.js'
import { listChunksSince, listNewestEnds } from '../control/pitr-chunks.js'
import { clusterMembers } from '../mongo/topology.js'
import { rfc3339 } from '../time/text.js'
import type { Condition } from './alarms.js'
import type { NoticeContext, Noticed } from './noticed.js'

const DEFAULT_SPAN_MINUTES = 10
/** A slice is stored when it has ended, and a slicer may be replaced by another. */
const SPANS = 2
const SPARE_MINUTES = 10

/** `gap`: what was stored of the oplog is not joined to what was stored before, or nothing new comes. Reads only what is new. */
export async function newGaps(leader: MongoClient, { documents, now }: NoticeContext): Promise<Noticed> {
  if (!documents.notifications.some(({ on }) => on.includes('gap'))) return {}
  const known = documents.notices.chunks
  // Gaps of before somebody asked are of no concern.
  if (known.length === 0)
    return { state: { chunks: (await listNewestEnds(leader)).map(({ rs, end }) => endOf(rs, end)) } }
  const ends = new Map(known.map((end) => [end.rs, end]))
  const oldest = known.reduce((a, b) => (b.t < a.t ? b : a))
  const notices: Notice[] = []
  for (const { rs, start_ts, end_ts } of await listChunksSince(leader, oldest.t)) {
    const before = ends.get(rs)
    if (before !== undefined && !end_ts.greaterThan(timestampOf(before))) continue
    if (before !== undefined && start_ts.greaterThan(timestampOf(before))) {
      const text = `the stored oplog of ${rs} has a gap from ${rfc3339(before.t)} to ${rfc3339(start_ts.t)}: make a backup, to be able to restore to times after it`
      const subject = `point-in-time recovery: a gap in ${rs}`
      notices.push({ id: `gap/${rs}/${start_ts.t}.${start_ts.i}`, event: 'gap', subject, text, at: now, name: rs })
    }
    ends.set(rs, endOf(rs, end_ts))
  }
  const still = await standingStill(leader, [...ends.values()])
  return {
    notices,
    conditions: still.conditions,
    state: { chunks: [...ends.values()].filter(({ rs }) => !still.gone.has(rs)) },
  }
}

/** Nothing new comes, though it is switched on: what an oplog that rolls over will have made a gap of. */
async function standingStill(
  leader: MongoClient,
  ends: readonly ChunkEnd[],
): Promise<{ conditions: Condition[]; gone: ReadonlySet<string> }> {
  const { config, now } = await readConfigAndTime(leader)
  const minutes = (config?.pitr?.oplogSpanMin ?? DEFAULT_SPAN_MINUTES) * SPANS + SPARE_MINUTES
  const still = ends.filter(({ t }) => now.t - t > minutes * 60)
  if (config?.pitr?.enabled !== true || still.length === 0) return { conditions: [], gone: new Set() }
  // Only then: it may be a shard that was removed.
  const there = new Set((await clusterMembers(leader)).map(({ rs }) => rs))
  const conditions = still
    .filter(({ rs }) => there.has(rs))
    .map(({ rs, t }) => ({
      ...{ key: `gap/${rs}`, event: 'gap' as const, patienceMs: 0 },
      text: `nothing of the oplog of ${rs} was stored since ${rfc3339(t)}: see pbm status -s pitr`,
    }))
  return { conditions, gone: new Set(still.map(({ rs }) => rs).filter((rs) => !there.has(rs))) }
}

function endOf(rs: string, { t, i }: Timestamp): ChunkEnd {
  return { rs, t, i }
}

function timestampOf({ t, i }: ChunkEnd): Timestamp {
  return new Timestamp({ t, i })
}
