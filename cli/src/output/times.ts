import { rfc3339, tableTime } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { usageError } from '../errors.js'

const DAY_SECONDS = 86_400

/** A point in time as it is given to a command: in seconds where that is all of it, else `T,I`. */
export function momentText({ t, i }: Timestamp): string {
  return i === 0 ? tableTime(t) : `${t},${i}`
}

/** The name of a restore: RFC 3339 with nanoseconds and without trailing zeros, as Go prints `RFC3339Nano`. */
export function restoreName(milliseconds: number, extraNanoseconds = 0): string {
  const seconds = Math.floor(milliseconds / 1000)
  const nanoseconds = Math.floor((milliseconds - seconds * 1000) * 1_000_000) + extraNanoseconds
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '')
  const base = tableTime(seconds)
  return fraction === '' ? `${base}Z` : `${base}.${fraction}Z`
}

/**
 * A limit as `--older-than` takes it: `2031-02-03T04:05:06` (UTC; a trailing `Z` is accepted too), `2031-02-03`,
 * `T,I` (a BSON timestamp) or `30d` (days before `nowSeconds`). Fails with USAGE on anything else, and on a time that
 * lies after `nowSeconds` or before 1970.
 */
export function parseOlderThan(text: string, nowSeconds: number, option = '--older-than'): Timestamp {
  const days = /^(\d+)d$/.exec(text)?.[1]
  const daysAgo = days === undefined ? undefined : nowSeconds - Number(days) * DAY_SECONDS
  if (daysAgo !== undefined && daysAgo < 0)
    throw usageError(`${option} ${text} lies before 1970`, 'Write days as 30d: fewer than have passed since then.')
  const limit =
    daysAgo === undefined ? parseTime(text, option, ', or days as 30d') : new Timestamp({ t: daysAgo, i: 0 })
  if (limit.t > nowSeconds)
    throw usageError(`${option} ${text} (${rfc3339(limit.t)}) is after now (${rfc3339(nowSeconds)})`)
  return limit
}

/**
 * A time as `--time`, `--start` and `--end` take it: `2031-02-03T04:05:06` (UTC; a trailing `Z` is accepted too),
 * `2031-02-03` for midnight, or `T,I` (a BSON timestamp). One in seconds leaves out what happened in that second, as in
 * PBM. Fails with USAGE.
 */
export function parseMoment(text: string, option: string): Timestamp {
  return parseTime(text, option, '')
}

const MOST = 0xffffffff

function parseTime(text: string, option: string, more: string): Timestamp {
  const timestamp = /^(\d{1,10}),(\d{1,10})$/.exec(text)
  const [t, i] = [Number(timestamp?.[1]), Number(timestamp?.[2])]
  if (timestamp !== null && t <= MOST && i <= MOST) return new Timestamp({ t, i })
  const date = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text.replace(/Z$/, '')
  const seconds = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$/.test(date) ? Date.parse(`${date}Z`) / 1000 : Number.NaN
  // The engine takes 30 February for 2 March.
  if (Number.isNaN(seconds) || seconds < 0 || seconds > MOST || tableTime(seconds) !== date)
    throw usageError(
      `${option}: '${text}' is not a time`,
      `Write 2031-02-03T04:05:06 (UTC), 2031-02-03, T,I (a BSON timestamp)${more}.`,
    )
  return new Timestamp({ t: seconds, i: 0 })
}
