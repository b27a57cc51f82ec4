import {
  type BackupDocument,
  clusterTime,
  findBackupByOpid,
  findDrill,
  findRestoreByOpid,
  findVerification,
  isStale,
  type LockDocument,
  listBesideLocks,
  listLocks,
  type RestoreDocument,
  rfc3339,
} from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { prettySize } from '../output/bytes.js'
import type { Colours } from '../output/colour.js'
import { shortDuration } from '../output/durations.js'
import { restoredPartText } from '../restored-part.js'
import { countedIn, type OverallProgress, overallProgress } from '../wait/progress.js'

/** The `running` section, with PBM's names, and our `progress` and `stale`. Empty when nothing runs. */
export interface RunningSection {
  type?: string
  opID?: string
  name?: string
  startTS?: number
  status?: string
  /** `rs/host:port` of the holders of its locks. */
  nodes?: string[]
  progress?: OverallProgress
  /** What of a backup is restored, in words; absent for all of it. */
  part?: string
  /** Its agents are dead. */
  stale?: true
  /** What runs beside it: a verification, or the dead rest of another operation. */
  beside?: RunningSection[]
}

export async function runningSection(leader: MongoClient): Promise<RunningSection> {
  const [operations, beside, now] = await Promise.all([listLocks(leader), listBesideLocks(leader), clusterTime(leader)])
  const isAlive = ({ hb }: LockDocument) => !isStale(hb, now)
  // Those that are alive first, each operation with all of its locks.
  const locks = [...operations, ...beside].sort((a, b) => Number(isAlive(b)) - Number(isAlive(a)))
  const byOperation = [...Map.groupBy(locks, ({ opid }) => opid).values()]
  const [first, ...others] = await Promise.all(byOperation.map((own) => operationOf(leader, own, now)))
  return { ...first, ...(others.length === 0 ? {} : { beside: others }) }
}

async function operationOf(leader: MongoClient, own: readonly LockDocument[], now: Timestamp): Promise<RunningSection> {
  const [lock] = own
  if (lock === undefined) return {}
  const opid = lock.opid ?? ''
  const running: RunningSection = {
    type: lock.type,
    opID: opid,
    nodes: own.map(({ replset, node }) => `${replset}/${node}`),
    ...(own.every(({ hb }) => isStale(hb, now)) ? { stale: true } : {}),
  }
  if (lock.type === 'backup') {
    const backup = await findBackupByOpid(leader, opid)
    return { ...running, ...details(backup, backup?.name, 'backup') }
  }
  if (lock.type === 'restore') {
    const restore = await findRestoreByOpid(leader, opid)
    const part = restore && restoredPartText(restore)
    return { ...running, ...details(restore, restore?.backup, 'restore'), ...(part === undefined ? {} : { part }) }
  }
  if (lock.type === 'verify' || lock.type === 'drill') {
    const note = lock.type === 'verify' ? await findVerification(leader, opid) : undefined
    const notes = lock.type === 'drill' ? await findDrill(leader, opid) : note === undefined ? [] : [note]
    const overall = overallProgress(notes)
    return { ...running, ...(overall === undefined ? {} : { progress: overall }) }
  }
  return running
}

function details(
  document: BackupDocument | RestoreDocument | undefined,
  name: string | undefined,
  kind: string,
): RunningSection {
  if (document === undefined || name === undefined) return {}
  const progress = overallProgress(document.replsets)
  return {
    name,
    startTS: Number(document.start_ts),
    status: statusWords(document.status, kind),
    ...(progress === undefined ? {} : { progress }),
  }
}

function statusWords(status: string, kind: string): string {
  if (status === 'running') return `snapshot ${kind}`
  return status === 'dumpDone' ? `oplog ${kind}` : status
}

export function runningText(running: RunningSection, colours: Colours): string {
  if (running.type === undefined) return 'nothing'
  return [running, ...(running.beside ?? [])].map((one) => operationText(one, colours)).join('\n\n')
}

function operationText(running: RunningSection, colours: Colours): string {
  const lines = [
    [
      colours.strong(running.type ?? ''),
      ...(running.name === undefined ? [] : [running.name]),
      ...(running.status === undefined ? [] : [`(${running.status})`]),
      `on ${running.nodes?.join(', ')}`,
    ].join(' '),
  ]
  if (running.startTS !== undefined) lines.push(`Started: ${rfc3339(running.startTS)}  Operation: ${running.opID}`)
  else lines.push(`Operation: ${running.opID}`)
  const { progress, part } = running
  if (part !== undefined) lines.push(`Restores: ${part}`)
  if (progress !== undefined) lines.push(`Progress: ${progressWords(progress)}`)
  if (running.stale === true) lines.push(colours.bad('Its agents are dead; a live agent will mark it failed.'))
  return lines.join('\n')
}

function progressWords({ phase, bytes, totalBytes, documents, bytesPerSecond, secondsLeft }: OverallProgress): string {
  const parts = [
    phase,
    `${prettySize(bytes)} of ${prettySize(totalBytes)}`,
    `${documents.toLocaleString('en-US')} ${countedIn(phase)}`,
  ]
  if (bytesPerSecond > 0) parts.push(`${prettySize(bytesPerSecond)}/s`)
  if (secondsLeft !== undefined) parts.push(`${shortDuration(secondsLeft * 1000)} left`)
  return parts.join(', ')
}
