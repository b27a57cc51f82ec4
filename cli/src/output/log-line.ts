import { type LogEntry, printable, printableLine, rfc3339 } from '@pbmkit/core'
import { usageError } from '../errors.js'
import type { Colours } from './colour.js'

const LETTERS = ['F', 'E', 'W', 'I', 'D'] as const

/** `2031-02-03T04:05:10Z I [rs0/host:port] [backup/2031-02-03T04:05:06Z] message`, as PBM prints it. */
export function logLine(entry: LogEntry, time: (seconds: number) => string, colours: Colours, extra: boolean): string {
  const letter = LETTERS[entry.s] ?? '?'
  const severity = entry.s <= 1 ? colours.bad(letter) : entry.s === 2 ? colours.caution(letter) : letter
  const parts = [entry.e, entry.eobj, ...(extra ? [entry.opid ?? ''] : [])].filter((part) => part !== '')
  const event = printableLine(parts.join('/'))
  return [
    colours.quiet(time(entry.ts)),
    severity,
    printableLine(`[${entry.rs}/${entry.node}]`),
    ...(event === '' ? [] : [`[${event}]`]),
    // What goes on in another line must not look like another entry.
    printable(entry.msg).replaceAll('\n', '\n  '),
  ].join(' ')
}

/** Prints Unix seconds in a time zone: `UTC`, `Local` or an IANA name. Fails with USAGE on another. */
export function logTimes(zone: string): (seconds: number) => string {
  if (zone.toUpperCase() === 'UTC') return rfc3339
  const timeZone = zone.toLowerCase() === 'local' ? Intl.DateTimeFormat().resolvedOptions().timeZone : zone
  let formatter: Intl.DateTimeFormat
  try {
    formatter = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    })
  } catch {
    throw usageError(`--timezone: '${zone}' is no time zone`, 'Choose UTC, Local, or a name such as Europe/Berlin.')
  }
  return (seconds) => {
    const parts = new Map(formatter.formatToParts(seconds * 1000).map(({ type, value }) => [type, value]))
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? ''
    const offset = part('timeZoneName').replace(/^GMT([+-]00:00)?/, '') || 'Z'
    return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}:${part('second')}${offset}`
  }
}
