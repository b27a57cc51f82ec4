import type { MongoClient } from 'mongodb'
import { isBaseSnapshot } from '../catalog/retention.js'
import { durationOf } from '../config/duration.js'
import { eachDoneBackup } from '../control/backup-facts.js'
import { rfc3339 } from '../time/text.js'
import type { NoticeContext, Noticed } from './noticed.js'

/** `late`: no whole backup is newer than somebody expects. Wherever it lies; one of a part, or found damaged, is none. */
export async function lateBackups(leader: MongoClient, { documents, now }: NoticeContext): Promise<Noticed> {
  const expecting = documents.notifications.filter(({ on }) => on.includes('late'))
  if (expecting.length === 0) return {}
  const newest = await newestGood(leader)
  // Of a cluster that has none yet, nobody can expect one from before anybody asked.
  const begin = Math.max(newest, newest === 0 ? documents.notificationsSince : 0)
  const found = newest === 0 ? 'there is none' : `the newest has the data of ${rfc3339(newest / 1000)}`
  return {
    conditions: expecting
      .filter(({ expect = '' }) => now - begin > durationOf(expect))
      .map(({ name, expect }) => ({
        ...{ key: `late/${name}`, event: 'late' as const, patienceMs: 0, to: [name] },
        text: `no good backup within ${expect}: ${found}`,
      })),
  }
}

/** What the newest good backup has the data of, in milliseconds since the epoch; 0 where there is none. */
async function newestGood(leader: MongoClient): Promise<number> {
  for await (const backup of eachDoneBackup(leader)) {
    if (isBaseSnapshot(backup) && backup.verification?.result !== 'damaged') return backup.last_write_ts.t * 1000
  }
  return 0
}
