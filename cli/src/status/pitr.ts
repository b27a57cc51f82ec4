import {
  type ChunkBounds,
  clusterMembers,
  clusterTime,
  findPitr,
  isStale,
  listRestores,
  listSlicerLocks,
  missingSnapshot,
  newestBaseFirst,
  newestRestoreFirst,
  queryLog,
  readConfig,
  restoreTimes,
  slicingLag,
  tableTime,
  timelines,
  toBase,
  touchedSeconds,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Colours } from '../output/colour.js'
import { shortDuration } from '../output/durations.js'
import { slicingBasesOf } from '../pitr-ranges.js'
import type { StoredHistory } from './history.js'

/** The `pitr` section, with PBM's names. */
export interface PitrSection {
  /** Switched on in the configuration. */
  conf: boolean
  /** Somebody slices the oplog. */
  run: boolean
  /** `rs/host:port` of who does. */
  nodes: string[]
  error?: string
  /** Ours: why nothing can be stored before the next backup. */
  snapshotNeeded?: string
  /** Ours, while it is on: the last entry stored of each replica set (Unix seconds), and how far behind that is. */
  stored?: { rs: string; until?: number; lagSeconds?: number }[]
  /** Ours: what is missing between the stored stretches of a replica set (Unix seconds). */
  gaps?: { rs: string; start: number; end: number }[]
}

export async function pitrSection(leader: MongoClient, history: StoredHistory): Promise<PitrSection> {
  const [config, locks, now, { bounds }] = await Promise.all([
    readConfig(leader),
    listSlicerLocks(leader),
    clusterTime(leader),
    history.oplog(),
  ])
  const live = locks.filter(({ hb }) => !isStale(hb, now))
  const conf = config?.pitr?.enabled === true
  const error = config === undefined ? undefined : await slicingError(leader, config.epoch)
  const lines = timelines(bounds, [])
  const oplogOnly = config?.pitr?.oplogOnly === true
  const needed = await snapshotNeeded(leader, history, { conf, oplogOnly, barrier: lines.barriers.at(-1) })
  const gaps = [...lines.gaps].flatMap(([rs, own]) => own.map((gap) => ({ rs, ...touchedSeconds(gap) })))
  return {
    conf,
    run: live.length > 0,
    nodes: live.map(({ replset, node }) => `${replset}/${node}`),
    ...(error === undefined ? {} : { error }),
    ...(needed === undefined ? {} : { snapshotNeeded: needed }),
    ...(conf ? { stored: await storedSoFar(leader, bounds, now) } : {}),
    ...(gaps.length === 0 ? {} : { gaps }),
  }
}

/** After a restore nothing of before leads on: the chain of chunks begins anew at a snapshot. */
async function snapshotNeeded(
  leader: MongoClient,
  history: StoredHistory,
  {
    conf,
    oplogOnly,
    barrier,
  }: {
    readonly conf: boolean
    readonly oplogOnly: boolean
    readonly barrier: ReturnType<typeof timelines>['barriers'][number] | undefined
  },
): Promise<string | undefined> {
  if (!conf) {
    return (await findPitr(leader))?.resume === true
      ? 'it was on before the last restore and goes on by itself after the next full backup: pbm backup --wait'
      : undefined
  }
  if (oplogOnly) return undefined
  const [backups, restores] = await Promise.all([
    history.backups(),
    listRestores(leader, { status: ['done', 'partlyDone'] }),
  ])
  const [base] = slicingBasesOf(backups).sort(newestBaseFirst)
  const [restore] = restores.sort(newestRestoreFirst)
  const missing = missingSnapshot(
    base && toBase(base),
    // A replay changes data like any client.
    restore === undefined || restore.backup === '' ? undefined : restoreTimes(restore),
  )
  if (missing !== undefined || base === undefined || barrier?.ts.greaterThan(base.last_write_ts) !== true)
    return missing
  return `${barrier.what} at ${tableTime(barrier.ts.t)}, and no backup made before leads to a later time`
}

async function storedSoFar(
  leader: MongoClient,
  bounds: readonly ChunkBounds[],
  now: Awaited<ReturnType<typeof clusterTime>>,
) {
  const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
  return slicingLag(bounds, replsets, now).map(({ rs, stored, seconds }) => ({
    rs,
    ...(stored === undefined ? {} : { until: stored.t }),
    ...(seconds === undefined ? {} : { lagSeconds: seconds }),
  }))
}

/** Per replica set the newest error of slicing since the last change of configuration, unless it has started again since. */
async function slicingError(leader: MongoClient, epoch: NonNullable<Awaited<ReturnType<typeof readConfig>>>['epoch']) {
  const errors: string[] = []
  for (const { rs } of await clusterMembers(leader)) {
    const entries = await queryLog(leader, { rs, event: 'pitr', epoch, severity: 4, tail: 200 })
    const failed = entries.findLast(({ s }) => s === 1)
    if (failed === undefined) continue
    const restarted = entries.slice(entries.indexOf(failed) + 1).some(({ msg }) => msg === 'start_ok')
    if (!restarted) errors.push(`[${failed.rs}/${failed.node}] ${failed.msg}`)
  }
  return errors.length === 0 ? undefined : errors.join('; ')
}

export function pitrText(section: PitrSection, colours: Colours): string {
  const { conf, run, nodes, error, snapshotNeeded: needed, stored = [], gaps = [] } = section
  const lines = [
    conf
      ? `${colours.good('on')}${run ? '' : ', but nobody slices the oplog yet'}`
      : run
        ? 'being switched off'
        : 'off',
  ]
  if (needed !== undefined) lines.push(colours.caution(`A fresh backup is needed: ${needed}`))
  if (nodes.length > 0) lines.push(`Slicing: ${nodes.join(', ')}`)
  for (const { rs, until, lagSeconds = 0 } of stored)
    lines.push(
      until === undefined
        ? `${rs}: nothing stored yet`
        : `${rs}: stored up to ${tableTime(until)}, ${shortDuration(lagSeconds * 1000)} behind`,
    )
  for (const { rs, start, end } of gaps)
    lines.push(
      colours.caution(`${rs}: gap from ${tableTime(start)} to ${tableTime(end)}; no time in it can be restored to`),
    )
  // Told above already.
  const isKnown = needed !== undefined && error?.includes(needed) === true
  if (error !== undefined && !isKnown) lines.push(colours.bad(`Error: ${error}`))
  return lines.join('\n')
}
