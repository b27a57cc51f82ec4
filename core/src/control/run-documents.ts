import type { MongoClient } from 'mongodb'
import { invalidConfig } from '../config/check.js'
import type { Config } from '../config/document.js'
import type { ConfigFault } from '../config/faults.js'
import { schemaFaults } from '../config/faults.js'
import { NOTIFICATIONS_SCHEMA, type NotificationConfig, notificationFaults } from '../config/notifications.js'
import { SCHEDULES_SCHEMA, type ScheduleConfig, scheduleFaults } from '../config/schedules.js'
import { isRecord, withoutNulls } from '../config/values.js'
import { PbmError } from '../errors.js'
import type { PluginHost } from '../plugin-host/host.js'
import { type ConfigChange, readConfig, writeConfig } from './config.js'
import { type NoticeState, readNoticeState } from './notice-state.js'
import {
  NOTICE_STATE_ID,
  NOTIFICATIONS_ID,
  ownDocuments,
  rewrite,
  SCHEDULE_STATE_ID,
  SCHEDULES_ID,
} from './own-documents.js'
import { isMain, listProfiles } from './profiles.js'
import { forgetSchedules, readScheduleStates, type ScheduleState } from './schedule-state.js'
import { checkedSelection } from './selection.js'

/** All of it, as it was read by one command. What is not right is left out, and told in `faults`. */
export interface RunDocuments {
  readonly schedules: readonly ScheduleConfig[]
  /** Name → when it was last set or resumed: what was due before does not count. Milliseconds since the epoch, as all here. */
  readonly since: Readonly<Record<string, number>>
  readonly states: Readonly<Record<string, ScheduleState>>
  readonly notifications: readonly NotificationConfig[]
  /** The same of notifications. */
  readonly notificationsSince: number
  readonly notices: NoticeState
  readonly faults: readonly ConfigFault[]
}

export async function readRunDocuments(leader: MongoClient): Promise<RunDocuments> {
  const ids = [SCHEDULES_ID, NOTIFICATIONS_ID, SCHEDULE_STATE_ID, NOTICE_STATE_ID]
  const found = await ownDocuments(leader)
    .find({ _id: { $in: ids } })
    .toArray()
  const of = (id: string) => found.find(({ _id }) => _id === id)
  const schedules = usable(of(SCHEDULES_ID)?.schedules, SCHEDULES_SCHEMA, scheduleFaults, 'schedules')
  const notifications = usable(
    of(NOTIFICATIONS_ID)?.notifications,
    NOTIFICATIONS_SCHEMA,
    notificationFaults,
    'notifications',
  )
  return {
    schedules: schedules.entries as ScheduleConfig[],
    since: numbersOf(of(SCHEDULES_ID)?.since),
    states: readScheduleStates(of(SCHEDULE_STATE_ID)?.runs),
    notifications: notifications.entries as NotificationConfig[],
    notificationsSince: Number(of(NOTIFICATIONS_ID)?.since) || 0,
    notices: readNoticeState(of(NOTICE_STATE_ID)),
    faults: [...schedules.faults, ...notifications.faults],
  }
}

/** Replaces all schedules. What is new, resumed or has other times begins now. Rejects with CONFIG_INVALID, CONFIG_CONFLICT. */
export async function writeSchedules(
  leader: MongoClient,
  change: (schedules: readonly ScheduleConfig[]) => readonly ScheduleConfig[],
  now: number,
): Promise<ScheduleConfig[]> {
  const { gone, schedules: written } = await rewrite(leader, SCHEDULES_ID, (document) => {
    const before = listOfRecords(document?.schedules) as unknown as ScheduleConfig[]
    const schedules = [...change(before)]
    const faults = [...schemaFaults(schedules, SCHEDULES_SCHEMA, ['schedules']), ...scheduleFaults(schedules)]
    refuse(faults.length > 0 ? faults : selectionFaults(schedules))
    const known = numbersOf(document?.since)
    const since = schedules.map((schedule) => {
      const old = before.find(({ name }) => name === schedule.name)
      const goesOn = old !== undefined && timesOf(old) === timesOf(schedule)
      return [schedule.name, goesOn ? (known[schedule.name] ?? now) : now] as const
    })
    const kept = new Set(schedules.map(({ name }) => name))
    const left = before.map(({ name }) => name).filter((name) => !kept.has(name))
    return { fields: { schedules, since: Object.fromEntries(since) }, result: { gone: left, schedules } }
  })
  await forgetSchedules(leader, gone)
  return written
}

/** Replaces all notifications. Rejects as {@link writeSchedules}. */
export async function writeNotifications(
  leader: MongoClient,
  notifications: readonly NotificationConfig[],
  now: number,
): Promise<void> {
  const faults = [
    ...schemaFaults(notifications, NOTIFICATIONS_SCHEMA, ['notifications']),
    ...notificationFaults(notifications),
  ]
  if (faults.length > 0) throw invalidConfig(faults)
  await rewrite(leader, NOTIFICATIONS_ID, (document) => {
    // What happened while nobody was to be told is of no concern.
    const since = listOfRecords(document?.notifications).length === 0 ? now : Number(document?.since) || now
    return { fields: { notifications, since }, result: undefined }
  })
}

/**
 * Writes a configuration as a file has it: the main document, and schedules and notifications where the file has these sections.
 * Without them they stay as they are, for PBM and tools write files that know nothing of them. Rejects as {@link writeSchedules}, and where a schedule names a profile that is not there.
 */
export async function writeWholeConfig(
  leader: MongoClient,
  config: Config,
  host: PluginHost,
  now: number,
): Promise<ConfigChange> {
  const { schedules, notifications } = config
  // Before anything is written.
  refuse([...selectionFaults(schedules ?? []), ...(await profileFaults(leader, schedules ?? []))])
  const change = await writeConfig(leader, config, host)
  if (schedules !== undefined) await writeSchedules(leader, () => schedules, now)
  if (notifications !== undefined) await writeNotifications(leader, notifications, now)
  return change
}

function refuse(faults: readonly ConfigFault[]): void {
  if (faults.length > 0) throw invalidConfig(faults)
}

/** Namespaces that no backup can be of. */
function selectionFaults(schedules: readonly ScheduleConfig[]): ConfigFault[] {
  return schedules.flatMap(({ ns, withUsersAndRoles }, index) => {
    try {
      checkedSelection(namespacesOf(ns), withUsersAndRoles)
      return []
    } catch (error) {
      if (!(error instanceof PbmError)) throw error
      return [faultOf(index, 'ns', error.message)]
    }
  })
}

/** Profiles that are not there: the schedule would fail each time. */
async function profileFaults(leader: MongoClient, schedules: readonly ScheduleConfig[]): Promise<ConfigFault[]> {
  if (schedules.every(({ profile }) => isMain(profile))) return []
  const known = new Set((await listProfiles(leader)).map(({ name }) => name))
  return schedules.flatMap(({ name, profile }, index) => {
    if (isMain(profile) || known.has(profile)) return []
    const how = `Make it first (pbm profile add ${profile} FILE), or leave the schedule ${name} out until then`
    return [faultOf(index, 'profile', `there is no profile '${profile}'. ${how}`)]
  })
}

function faultOf(index: number, key: string, text: string): ConfigFault {
  return { path: ['schedules', String(index), key], text, unknownKey: false }
}

/** `ns` of a schedule, one by one. */
export function namespacesOf(ns: string | undefined): string[] {
  return (ns ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

/** The configuration as a file has it, which is in several documents. */
export async function readWholeConfig(leader: MongoClient): Promise<Config | undefined> {
  const [config, found] = await Promise.all([
    readConfig(leader),
    ownDocuments(leader)
      .find({ _id: { $in: [SCHEDULES_ID, NOTIFICATIONS_ID] } })
      .toArray(),
  ])
  if (config === undefined) return undefined
  const listed = (id: string, key: 'schedules' | 'notifications') => {
    const list = listOfRecords(found.find(({ _id }) => _id === id)?.[key])
    return list.length === 0 ? {} : { [key]: list }
  }
  return { ...config, ...listed(SCHEDULES_ID, 'schedules'), ...listed(NOTIFICATIONS_ID, 'notifications') }
}

/** Those that are right by themselves; others may have written them. */
function usable(
  value: unknown,
  schema: typeof SCHEDULES_SCHEMA,
  more: (value: unknown) => ConfigFault[],
  key: string,
): { entries: readonly unknown[]; faults: ConfigFault[] } {
  const entries = listOfRecords(value)
  const faults = [...schemaFaults(entries, schema, [key]), ...more(entries)]
  const wrong = new Set(faults.map(({ path }) => path[1]))
  const isWhole = !wrong.has(undefined)
  return { entries: isWhole ? entries.filter((_entry, index) => !wrong.has(String(index))) : [], faults }
}

function listOfRecords(value: unknown): Record<string, unknown>[] {
  const plain = withoutNulls(value)
  return Array.isArray(plain) ? plain.filter(isRecord) : []
}

function numbersOf(value: unknown): Record<string, number> {
  if (!isRecord(value)) return {}
  const numbers = Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  return Object.fromEntries(numbers)
}

/** What says when it is due. */
function timesOf({ cron, timezone = 'UTC', enabled = true }: ScheduleConfig): string {
  return JSON.stringify([cron, timezone, enabled])
}
