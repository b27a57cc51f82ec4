import type { Document, MongoClient } from 'mongodb'
import { isRecord } from '../config/values.js'
import { ownDocuments, SCHEDULE_STATE_ID } from './own-documents.js'
import { isDuplicateKey } from './wire.js'

/** More than the clocks of two agents differ: a tick must not be done again by one whose clock is behind. */
const CLOCKS_DIFFER_MS = 3_600_000

/** How far a schedule is. Times are milliseconds since the epoch. */
export interface ScheduleState {
  /** The newest time of the schedule that somebody has taken on: none before it is due any more. */
  readonly tick: number
  /** What is under way. */
  readonly run?: ScheduledRun
  /** What ended last. */
  readonly last?: EndedRun
}

export interface ScheduledRun {
  readonly tick: number
  /** Of its command, which may not be sent yet: 24 hex digits. Whoever sends it, sends it under this id, so only one can. */
  readonly opid: string
  readonly status: 'waiting' | 'sent'
  /** `rs/host:port` of the agent that took it on. */
  readonly by: string
  readonly sentAt?: number
  /** Of the backup. */
  readonly name?: string
  /** What it waits for. */
  readonly why?: string
}

export interface EndedRun {
  readonly tick: number
  readonly status: 'done' | 'failed' | 'skipped' | 'missed'
  readonly endedAt: number
  readonly opid?: string
  readonly name?: string
  readonly why?: string
}

/** Whether the tick of a state can only come from a wrong clock: nothing is kept from being due by it. */
export function isAhead({ tick }: ScheduleState, now: number): boolean {
  return tick > now + CLOCKS_DIFFER_MS
}

/** Of what stands in the collection, as far as it can be used. */
export function readScheduleStates(value: unknown): Record<string, ScheduleState> {
  if (!isRecord(value)) return {}
  const states = Object.entries(value).flatMap(([name, state]): [string, ScheduleState][] => {
    if (!isRecord(state) || !isTime(state.tick)) return []
    const run = isRun(state.run) ? { run: state.run } : {}
    const last = isEnded(state.last) ? { last: state.last } : {}
    return [[name, { tick: state.tick, ...run, ...last }]]
  })
  return Object.fromEntries(states)
}

function isRun(value: unknown): value is ScheduledRun {
  return (
    isRecord(value) &&
    isTime(value.tick) &&
    typeof value.opid === 'string' &&
    /^[0-9a-f]{24}$/.test(value.opid) &&
    (value.status === 'waiting' || value.status === 'sent')
  )
}

function isEnded(value: unknown): value is EndedRun {
  return isRecord(value) && isTime(value.tick) && isTime(value.endedAt)
}

/** Whether it is a time that can be written as a date. */
function isTime(value: unknown): value is number {
  return Number.isInteger(value) && !Number.isNaN(new Date(Number(value)).getTime())
}

/**
 * Takes a time of a schedule on at `now`, with what is known from then on. False where another agent has taken it, or a later
 * one: two that both believe to lead can't both have it. One that {@link isAhead} is replaced.
 */
export async function takeTick(leader: MongoClient, name: string, state: ScheduleState, now: number): Promise<boolean> {
  const free = { [`runs.${name}.tick`]: { $not: { $gte: state.tick, $lte: now + CLOCKS_DIFFER_MS } } }
  return await update(leader, free, { $set: { profile: 'pbmkit', [`runs.${name}`]: state } }, true)
}

/** Changes what is under way; false where it is another run by now, or in another state. */
export async function changeRun(
  leader: MongoClient,
  name: string,
  from: Pick<ScheduledRun, 'opid' | 'status'>,
  to: Partial<ScheduledRun>,
): Promise<boolean> {
  const set = Object.entries(to).map(([key, value]) => [`runs.${name}.run.${key}`, value])
  return await update(leader, same(name, from), { $set: Object.fromEntries(set) })
}

export async function endRun(
  leader: MongoClient,
  name: string,
  from: Pick<ScheduledRun, 'opid' | 'status'>,
  last: EndedRun,
): Promise<boolean> {
  const change = { $set: { [`runs.${name}.last`]: last }, $unset: { [`runs.${name}.run`]: '' } }
  return await update(leader, same(name, from), change)
}

/** What a person had done now, which was due at no time. False where an agent has taken one on meanwhile, which stays. */
export async function noteRun(leader: MongoClient, name: string, run: ScheduledRun): Promise<boolean> {
  const change = { $set: { profile: 'pbmkit', [`runs.${name}.run`]: run }, $max: { [`runs.${name}.tick`]: run.tick } }
  return await update(leader, { [`runs.${name}.run.opid`]: { $exists: false } }, change, true)
}

/** Of schedules that are gone. */
export async function forgetSchedules(leader: MongoClient, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const gone = Object.fromEntries(names.map((name) => [`runs.${name}`, '']))
  await update(leader, {}, { $unset: gone })
}

function same(name: string, { opid, status }: Pick<ScheduledRun, 'opid' | 'status'>): Document {
  return { [`runs.${name}.run.opid`]: opid, [`runs.${name}.run.status`]: status }
}

async function update(leader: MongoClient, filter: Document, change: Document, upsert = false): Promise<boolean> {
  try {
    const { matchedCount, upsertedCount } = await ownDocuments(leader).updateOne(
      { ...filter, _id: SCHEDULE_STATE_ID },
      change,
      { upsert },
    )
    return matchedCount + upsertedCount === 1
  } catch (error) {
    // The document is there, and the filter does not have it.
    if (isDuplicateKey(error)) return false
    throw error
  }
}
