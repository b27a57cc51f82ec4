import {
  type Clock,
  type Config,
  clusterTime,
  type Delivery,
  type EndedRun,
  isOfFiles,
  nextTick,
  type RunDocuments,
  readRunDocuments,
  rfc3339,
  type ScheduleConfig,
  type ScheduledRun,
  tableTime,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Colours } from './output/colour.js'
import { table } from './output/table.js'
import { agentsView, physicalFault } from './preflight.js'
import type { Session } from './session.js'

/** A schedule as `pbm schedule list` and `pbm status` show it. Times are RFC 3339. */
export interface ShownSchedule extends ScheduleConfig {
  next?: string
  running?: ShownRun
  last?: ShownRun
}

export interface ShownRun {
  due: string
  status: string
  ended?: string
  opid?: string
  name?: string
  why?: string
}

/**
 * From when on what is set now counts; milliseconds since the epoch. Of two clocks the one that is behind: a host whose clock is
 * ahead must not have agents pass over what is due by theirs.
 */
export async function beginning(leader: MongoClient, clock: Clock): Promise<number> {
  return Math.min(clock.now(), (await clusterTime(leader)).t * 1000)
}

/** Of those that make physical backups, where that could not be done now: agents and members may be others by then. */
export async function warnOfPhysical(
  { output }: Session,
  leader: MongoClient,
  config: Config,
  schedules: readonly ScheduleConfig[],
): Promise<void> {
  const names = schedules
    .filter(({ do: kind, type }) => kind === 'backup' && type !== undefined && isOfFiles(type))
    .map(({ name }) => name)
  if (names.length === 0) return
  const fault = physicalFault(await agentsView(leader), config)
  if (fault !== undefined)
    output.warn(`schedules of physical backups (${names.join(', ')}): as it is now, they would fail: ${fault.message}`)
}

export async function shownSchedules(leader: MongoClient, now: number): Promise<ShownSchedule[]> {
  return schedulesOf(await readRunDocuments(leader), now)
}

export function schedulesOf({ schedules, states }: RunDocuments, now: number): ShownSchedule[] {
  return schedules.map((schedule) => {
    const { run, last } = states[schedule.name] ?? {}
    const next = schedule.enabled === false ? undefined : nextTick(schedule, now)
    return {
      ...schedule,
      ...(next !== undefined && { next: timeOf(next) }),
      ...(run !== undefined && { running: shownRun(run) }),
      ...(last !== undefined && { last: shownRun(last) }),
    }
  })
}

function shownRun({ tick, status, ...others }: ScheduledRun | EndedRun): ShownRun {
  const { opid, name, why } = others
  return {
    ...{ due: timeOf(tick), status },
    ...('endedAt' in others && { ended: timeOf(others.endedAt) }),
    ...(opid !== undefined && { opid }),
    ...(name !== undefined && { name }),
    ...(why !== undefined && { why }),
  }
}

export function schedulesText(shown: readonly ShownSchedule[], colours: Colours): string {
  const rows = shown.map(({ name, cron, timezone = 'UTC', do: kind, enabled, next, running, last }) => [
    name,
    kind,
    `${cron} ${timezone}`,
    enabled === false ? colours.caution('paused') : (next ?? 'never').replace(/Z$/, ''),
    [running, last].flatMap((run) => (run === undefined ? [] : [runText(run, colours)])).join('\n') || '-',
  ])
  return table(['NAME', 'DOES', 'WHEN', 'NEXT (UTC)', 'LAST (UTC)'], rows, colours)
}

function runText({ due, status, why }: ShownRun, colours: Colours): string {
  const colour = { done: colours.good, failed: colours.bad }[status] ?? colours.caution
  return `${due.replace(/Z$/, '')} ${colour(status)}${why === undefined ? '' : `: ${why.split('\n')[0] ?? ''}`}`
}

/** A notification as `pbm status` shows it. */
export interface ShownNotification {
  name: string
  on: readonly string[]
  /** How it went last, by channel. */
  last: Record<string, { at: string; error?: string }>
  /** So many wait to be sent. */
  waiting: number
}

export function notificationsOf({ notifications, notices }: RunDocuments): ShownNotification[] {
  const deliveries = Object.entries(notices.deliveries)
  return notifications.map(({ name, on }) => ({
    ...{ name, on },
    last: Object.fromEntries(
      deliveries
        .filter(([key]) => key.startsWith(`${name}/`))
        .map(([key, delivery]) => [key.slice(name.length + 1), shownDelivery(delivery)]),
    ),
    waiting: notices.queue.filter(({ to }) => to === name).length,
  }))
}

function shownDelivery({ at, error }: Delivery) {
  return { at: timeOf(at), ...(error !== undefined && { error }) }
}

export function notificationsText(shown: readonly ShownNotification[], colours: Colours): string {
  const rows = shown.map(({ name, on, last, waiting }) => [
    name,
    on.join(', '),
    Object.entries(last)
      .map(([channel, { at, error }]) =>
        error === undefined
          ? `${channel} ${tableTime(Date.parse(at) / 1000)} ${colours.good('sent')}`
          : `${channel} ${tableTime(Date.parse(at) / 1000)} ${colours.bad(error)}`,
      )
      .join('\n') || '-',
    waiting === 0 ? '-' : colours.caution(String(waiting)),
  ])
  return table(['NAME', 'ON', 'LAST (UTC)', 'WAITING'], rows, colours)
}

function timeOf(milliseconds: number): string {
  return rfc3339(Math.floor(milliseconds / 1000))
}
