import { Cron } from 'croner'

/** When something is to happen again and again. */
export interface CronTimes {
  /** `minute hour day month weekday`, or with seconds before them. */
  readonly cron: string
  /** As the IANA names them: `Europe/Berlin`. UTC when absent. */
  readonly timezone?: string | undefined
}

const LONGEST = 100
const OFTEN = 'comes more often than once a minute; leave the seconds out, or write one: 0 30 2 * * *'

/** What is wrong with it; undefined where it names times, at least one of them to come. */
export function cronFault(times: CronTimes, now: number): { key: 'cron' | 'timezone'; text: string } | undefined {
  const { cron, timezone } = times
  if (timezone !== undefined && !isTimezone(timezone))
    return { key: 'timezone', text: 'is no time zone; write it as the IANA does: Europe/Berlin, UTC' }
  if (cron.length > LONGEST) return { key: 'cron', text: `must not be longer than ${LONGEST} characters` }
  // To the library the time at which it is read, so that it would be due always.
  if (cron.includes('?')) return { key: 'cron', text: 'must not have a ?' }
  try {
    if (nextTick(times, now) === undefined) return { key: 'cron', text: 'names no time that ever comes' }
    return isEachMinute(cron) ? undefined : { key: 'cron', text: OFTEN }
  } catch {
    return {
      key: 'cron',
      text: 'is no cron expression; write minute, hour, day, month and weekday: 30 2 * * * is each day at 2:30',
    }
  }
}

/** At the most: operations are kept apart by their second, and the agents look at the clock once in a while. */
function isEachMinute(cron: string): boolean {
  const parts = cron.trim().split(/\s+/)
  return parts.length < 6 || /^\d+$/.test(parts[0] ?? '')
}

/** The first time after `after`; milliseconds since the epoch. */
export function nextTick(times: CronTimes, after: number): number | undefined {
  return parsed(times).nextRun(new Date(after))?.getTime()
}

/** The last time up to `until`, with it. */
export function lastTick(times: CronTimes, until: number): number | undefined {
  // Whole seconds; what is asked for comes before the time that is given.
  const after = (Math.floor(until / 1000) + 1) * 1000
  return parsed(times).previousRuns(1, new Date(after))[0]?.getTime()
}

/** Without a function to call, it starts no timer. */
function parsed({ cron, timezone = 'UTC' }: CronTimes): Cron {
  return new Cron(cron, { timezone, mode: '5-or-6-parts', paused: true })
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}
