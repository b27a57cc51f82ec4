import type { MongoClient } from 'mongodb'
import type { ScheduleConfig } from '../config/schedules.js'
import type { BackupDocument } from '../control/backup-document.js'
import { type FoundDamage, listNewsOfBackups } from '../control/backups.js'
import type { LastDrill } from '../control/drill-document.js'
import type { Notice } from '../control/notice-state.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { listEndedRestores } from '../control/restores.js'
import type { EndedRun } from '../control/schedule-state.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { rfc3339 } from '../time/text.js'
import type { NoticeContext, Noticed } from './noticed.js'

/** A record may be written some time after what it says. */
const OVERLAP_SECONDS = 300

/** What became of operations since the last look, each told once: `failed`, `succeeded` and `damaged`. */
export async function endedOperations(
  leader: MongoClient,
  { documents: { notices: state, notificationsSince, schedules, states } }: NoticeContext,
): Promise<Noticed> {
  const { t } = await clusterTime(leader)
  // What was before somebody asked to be told is of no concern.
  const since = Math.min(t, Math.max(state.endedSince, Math.floor(notificationsSince / 1000)))
  const [backups, restores] = await Promise.all([listNewsOfBackups(leader, since), listEndedRestores(leader, since)])
  // Of a drill that could not be made on every replica set, only its schedule knows.
  const drills = backups.drilled.filter(({ drill }) => drill.result === 'failed').map(({ drill }) => drill.opid)
  const opids = new Set([...backups.ended.map(({ opid }) => opid), ...drills])
  const runs = schedules.flatMap((schedule) => {
    const last = states[schedule.name]?.last
    if (last === undefined || last.endedAt < since * 1000 || hasRecord(schedule, last, opids)) return []
    return [noticeOfRun(schedule, last)]
  })
  const records = [
    ...backups.ended.map((one) => noticeOf('backup', one)),
    ...backups.damaged.map(({ backup, damage }) => noticeOfDamage(backup, damage)),
    ...backups.drilled.map(({ backup, drill }) => noticeOfDrill(backup, drill)),
    ...restores.map((one) => noticeOf(one.backup === '' ? 'replay' : 'restore', one)),
  ]
  const found = [...records, ...runs]
  return {
    notices: found.filter(({ id }) => !state.told.includes(id)),
    state: { endedSince: Math.max(since, t - OVERLAP_SECONDS), told: found.map(({ id }) => id).sort() },
  }
}

/** Of a backup that began, and a drill that was made: that is told. */
function hasRecord(schedule: ScheduleConfig, { status, opid }: EndedRun, opids: ReadonlySet<string>): boolean {
  const hasOne = schedule.do === 'backup' || schedule.do === 'drill'
  return hasOne && (status === 'done' || (opid !== undefined && opids.has(opid)))
}

function noticeOf(operation: string, record: BackupDocument | RestoreDocument): Notice {
  const { name, opid, status, last_transition_ts: ended } = record
  const isGood = status === 'done'
  const why = record.error || (status === 'canceled' ? 'it was canceled' : status)
  const subject = `${operation} ${name}: ${isGood ? 'done' : 'failed'}`
  return {
    ...{ id: `${operation}/${opid}/${status}`, event: isGood ? 'succeeded' : 'failed', at: Number(ended) * 1000 },
    ...{ operation, name, subject, text: isGood ? subject : `${subject}: ${why}` },
    ...(!isGood && { error: why }),
  }
}

function noticeOfDamage({ name }: BackupDocument, { opid, at }: FoundDamage): Notice {
  const subject = `backup ${name} is damaged`
  const text = `${subject}: see pbm describe-backup ${name}`
  return { id: `damaged/${name}/${opid}`, event: 'damaged', at: at * 1000, operation: 'verify', name, subject, text }
}

/** Once for all replica sets, unless one that ends later than another fails. */
function noticeOfDrill({ name }: BackupDocument, { opid, at, result }: LastDrill): Notice {
  const isGood = result === 'good'
  const subject = `drill of ${name}: ${isGood ? 'done' : 'failed'}`
  const text = `${subject}: see pbm describe-backup ${name}`
  const event = isGood ? 'succeeded' : 'failed'
  return { id: `drill/${name}/${opid}/${result}`, event, at: at * 1000, operation: 'drill', name, subject, text }
}

function noticeOfRun({ name, do: operation }: ScheduleConfig, { tick, status, why, endedAt }: EndedRun): Notice {
  const due = rfc3339(tick / 1000)
  const subject = `${operation} of the schedule ${name}, due at ${due}: ${status}`
  return {
    ...{ id: `schedule/${name}/${tick}/${status}`, event: status === 'done' ? 'succeeded' : 'failed', at: endedAt },
    ...{ operation, name, subject, text: why === undefined ? subject : `${subject}: ${why}` },
    ...(why !== undefined && { error: why }),
  }
}
