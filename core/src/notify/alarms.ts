import type { NoticeEvent } from '../config/notifications.js'
import type { Alarm, Notice } from '../control/notice-state.js'

/** Something that is the case just now. */
export interface Condition {
  /** The same from look to look. */
  readonly key: string
  readonly event: NoticeEvent
  readonly text: string
  /** Names of the notifications that it concerns; left out for all who ask for the event. */
  readonly to?: readonly string[]
  /** How long it may last before it is told; milliseconds. */
  readonly patienceMs: number
}

/** `to`: names of the notifications that it is for; undefined for all who ask for the event. */
export interface AddressedNotice {
  readonly notice: Notice
  readonly to?: readonly string[] | undefined
}

/** What still lasts is told again. */
const AGAIN_MS = 24 * 3_600_000

/**
 * What of that is told: when it has lasted for its patience, once a day while it goes on, and when it is over, if it was told.
 * Pure.
 */
export function stepAlarms(
  alarms: readonly Alarm[],
  conditions: readonly Condition[],
  now: number,
): { alarms: Alarm[]; notices: AddressedNotice[] } {
  const notices: AddressedNotice[] = []
  const lasting = conditions.map(({ key, event, text, to, patienceMs }): Alarm => {
    const known = alarms.find((alarm) => alarm.key === key)
    const alarm: Alarm = { key, event, text, since: known?.since ?? now, ...(to !== undefined && { to }) }
    const isDue = known?.toldAt === undefined ? now - alarm.since >= patienceMs : now - known.toldAt >= AGAIN_MS
    if (!isDue) return known?.toldAt === undefined ? alarm : { ...alarm, toldAt: known.toldAt }
    notices.push(noticeOf(alarm, 'firing', now))
    return { ...alarm, toldAt: now }
  })
  for (const alarm of alarms) {
    if (alarm.toldAt !== undefined && !lasting.some(({ key }) => key === alarm.key))
      notices.push(noticeOf(alarm, 'resolved', now))
  }
  return { alarms: lasting, notices }
}

function noticeOf({ key, event, text, to }: Alarm, state: 'firing' | 'resolved', now: number): AddressedNotice {
  const told = state === 'resolved' ? `over: ${text}` : text
  return { notice: { id: `${key}/${state}/${now}`, event, state, subject: told, text: told, at: now }, to }
}
