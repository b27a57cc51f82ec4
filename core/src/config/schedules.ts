import { cronFault } from '../time/cron.js'
import {
  boolean,
  choiceOf,
  compression,
  duration,
  type EntryFault,
  entryName,
  listOf,
  section,
  shortText,
} from './nodes.js'
import { isRecord } from './values.js'

/** What happens by itself: the same command that a person would send. */
export interface ScheduleConfig {
  /** Unique. */
  name: string
  cron: string
  /** UTC when absent. */
  timezone?: string
  do: ScheduledKind
  /** False: paused. True when absent. */
  enabled?: boolean
  /** One that was missed, for no agent ran, is made up once. True when absent. */
  catchUp?: boolean
  /** While another operation runs: `wait` for its end (when absent), or `skip` this time. */
  overlap?: 'wait' | 'skip'
  /** Logical when absent; of a drill, whichever is the newest. */
  type?: 'logical' | 'physical'
  /** `db.collection` or `db.*`, with commas; all when absent. */
  ns?: string
  withUsersAndRoles?: boolean
  /** The main storage when absent. */
  profile?: string
  compression?: string
  compressionLevel?: number
  numParallelCollections?: number
  numParallelFiles?: number
  /** Such as `30d`. */
  olderThan?: string
  /** The same, of what is verified. Everything when absent. */
  newerThan?: string
  /** Percent of the objects that are read through; 100 when absent. */
  readData?: number
}

/** What can be done by a schedule, and the keys that go with it. Of each, `schedule/actions.ts` says how. */
export const SCHEDULED = {
  backup: {
    may: [
      ...['type', 'ns', 'withUsersAndRoles', 'profile', 'compression', 'compressionLevel'],
      ...['numParallelCollections', 'numParallelFiles'],
    ],
    needs: [],
  },
  lifecycle: { may: ['profile'], needs: [] },
  cleanup: { may: ['olderThan', 'profile'], needs: ['olderThan'] },
  'delete-pitr': { may: ['olderThan'], needs: ['olderThan'] },
  verify: { may: ['newerThan', 'readData', 'profile'], needs: [] },
  drill: { may: ['type', 'profile'], needs: [] },
} as const satisfies Readonly<Record<string, { may: readonly string[]; needs: readonly string[] }>>

export type ScheduledKind = keyof typeof SCHEDULED

/** Keys of every schedule. */
const COMMON: readonly string[] = ['name', 'cron', 'timezone', 'do', 'enabled', 'catchUp', 'overlap']

/** So many are looked at every few seconds. */
const MOST = 100

const count = { type: 'integer', minimum: 0, maximum: 10_000 } as const
const percent = { type: 'number', minimum: 0, maximum: 100 } as const
const level = { type: 'integer', minimum: -100, maximum: 100 } as const

const SCHEDULE = section(
  {
    name: entryName,
    cron: shortText,
    timezone: shortText,
    do: choiceOf(Object.keys(SCHEDULED)),
    enabled: boolean,
    catchUp: boolean,
    overlap: choiceOf(['wait', 'skip']),
    type: choiceOf(['logical', 'physical']),
    ns: shortText,
    withUsersAndRoles: boolean,
    profile: shortText,
    compression,
    compressionLevel: level,
    numParallelCollections: count,
    numParallelFiles: count,
    olderThan: duration,
    newerThan: duration,
    readData: percent,
  },
  ['name', 'cron', 'do'],
)

/** Of the section `schedules`. */
export const SCHEDULES_SCHEMA = listOf(SCHEDULE, MOST)

/** What the schema can't say; `value` may be anything. */
export function scheduleFaults(value: unknown): EntryFault[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((schedule: unknown, index) => {
    if (!isRecord(schedule)) return []
    const fault = (key: string, text: string) => ({
      path: ['schedules', String(index), key],
      text,
      unknownKey: false as const,
    })
    return [
      ...twice(value, index).map((text) => fault('name', text)),
      ...timeFaults(schedule).map(({ key, text }) => fault(key, text)),
      ...keyFaults(schedule).map(({ key, text }) => fault(key, text)),
    ]
  })
}

/** That an entry has the name of one before it. */
export function twice(list: readonly unknown[], index: number): string[] {
  const nameAt = (entry: unknown) => (isRecord(entry) ? entry.name : undefined)
  const name = nameAt(list[index])
  return name !== undefined && list.slice(0, index).some((entry) => nameAt(entry) === name)
    ? ['stands here a second time']
    : []
}

function timeFaults({ cron, timezone }: Record<string, unknown>): { key: string; text: string }[] {
  if (typeof cron !== 'string' || (timezone !== undefined && typeof timezone !== 'string')) return []
  const found = cronFault({ cron, timezone }, Date.now())
  return found === undefined ? [] : [found]
}

function keyFaults(schedule: Record<string, unknown>): { key: string; text: string }[] {
  const kind = schedule.do
  if (typeof kind !== 'string' || !Object.hasOwn(SCHEDULED, kind)) return []
  const { may, needs }: { may: readonly string[]; needs: readonly string[] } = SCHEDULED[kind as ScheduledKind]
  const known: readonly string[] = KNOWN
  const faults = Object.keys(schedule)
    .filter((key) => known.includes(key) && !COMMON.includes(key) && !may.includes(key))
    .map((key) => ({ key, text: `does not go with do: ${kind}` }))
  const missing = needs
    .filter((key) => schedule[key] === undefined)
    .map((key) => ({ key, text: `is missing; do: ${kind} needs it` }))
  const isPhysical = schedule.type === 'physical'
  const unfit = ['ns', 'withUsersAndRoles', 'numParallelCollections']
    .filter((key) => isPhysical && schedule[key] !== undefined)
    .map((key) => ({ key, text: 'does not go with type: physical, which is a backup of all data' }))
  const files = !isPhysical && kind === 'backup' && schedule.numParallelFiles !== undefined
  const onlyPhysical = files ? [{ key: 'numParallelFiles', text: 'goes only with type: physical' }] : []
  return [...faults, ...missing, ...unfit, ...onlyPhysical]
}

const KNOWN = Object.keys(SCHEDULE.properties ?? {})
