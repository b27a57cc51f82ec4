import type { ScheduleConfig } from '../config/schedules.js'
import { isAhead, type ScheduleState } from '../control/schedule-state.js'
import { lastTick } from '../time/cron.js'

/** What is late by less is no more than an election, or agents that are restarted one after another. */
const GRACE_MS = 300_000

/** What is to be done about a schedule now. */
export type Due =
  | { readonly kind: 'nothing' }
  /** To be taken on. `isLate`: it is made up. `instead`: one that still waited, whose turn is over. */
  | { readonly kind: 'run'; readonly tick: number; readonly isLate: boolean; readonly instead?: number }
  /** Never to be done. */
  | { readonly kind: 'leave'; readonly tick: number; readonly status: 'missed' | 'skipped'; readonly why: string }

const NOTHING: Due = { kind: 'nothing' }

/**
 * Of several times that have passed only the last counts, so what was missed is made up once. Pure.
 *
 * @param since when the schedule was last set or resumed: what was due before does not count
 */
export function dueOf(
  schedule: ScheduleConfig,
  { since, state, now }: { readonly since: number; readonly state: ScheduleState | undefined; readonly now: number },
): Due {
  if (schedule.enabled === false) return NOTHING
  const tick = lastTick(schedule, now)
  const taken = state === undefined || isAhead(state, now) ? 0 : state.tick
  if (tick === undefined || tick <= Math.max(since, taken)) return NOTHING
  const run = state?.run
  if (run?.status === 'sent') {
    // Its turn comes when the one before has ended.
    if (schedule.overlap !== 'skip') return NOTHING
    return { kind: 'leave', tick, status: 'skipped', why: 'the one before was still running' }
  }
  if (run !== undefined) return { kind: 'run', tick, isLate: false, instead: run.tick }
  const isLate = now - tick > GRACE_MS
  if (isLate && schedule.catchUp === false)
    return { kind: 'leave', tick, status: 'missed', why: 'no agent that leads was running then' }
  return { kind: 'run', tick, isLate }
}
