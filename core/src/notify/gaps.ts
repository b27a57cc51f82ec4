import { type MongoClient, Timestamp } from 'mongodb'
import type { ChunkEnd, Notice } from '../control/notice-state.js'
import { listChunksSince, listNewestEnds } from '../control/pitr-chunks.js'
import type { NoticeContext, Noticed } from './noticed.js'

/** Of a shard that is gone. */
const GONE_SECONDS = 7 * 86_400

/** `gap`: what was stored of the oplog is not joined to what was stored before. Reads only what is new. */
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
      const text = `the stored oplog of ${rs} has a gap from ${timeText(before.t)} to ${timeText(start_ts.t)}: make a backup, to be able to restore to times after it`
      const subject = `point-in-time recovery: a gap in ${rs}`
      notices.push({ id: `gap/${rs}/${start_ts.t}.${start_ts.i}`, event: 'gap', subject, text, at: now, name: rs })
    }
    ends.set(rs, endOf(rs, end_ts))
  }
  const newest = Math.max(...[...ends.values()].map(({ t }) => t))
  return { notices, state: { chunks: [...ends.values()].filter(({ t }) => newest - t < GONE_SECONDS) } }
}

function endOf(rs: string, { t, i }: Timestamp): ChunkEnd {
  return { rs, t, i }
}

function timestampOf({ t, i }: ChunkEnd): Timestamp {
  return new Timestamp({ t, i })
}

function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000', '')
}
