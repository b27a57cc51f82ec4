import type { NotificationConfig } from '../config/notifications.js'
import type { Channel, Notice, NoticeState, QueuedNotice } from '../control/notice-state.js'
import type { AddressedNotice } from './alarms.js'

/** In one document of the database, so neither may grow without end. */
const MOST = 200
const TEXT_LETTERS = 2_000

/** An agent that took one and died: another one takes it then. */
export const TAKEN_MS = 60_000
const FIRST_PAUSE_MS = 10_000
const LONGEST_PAUSE_MS = 3_600_000
/** About three days. */
export const MOST_ATTEMPTS = 80

/** Puts a notice before everybody who asked for it, and for each way of telling. The oldest go where there is no room. Pure. */
export function enqueue(
  state: NoticeState,
  notices: readonly AddressedNotice[],
  notifications: readonly NotificationConfig[],
): NoticeState {
  const added = notices.flatMap(({ notice, to }) =>
    notifications
      .filter(({ name, on }) =>
        notice.event === 'test'
          ? to?.includes(name) === true
          : on.includes(notice.event) && (to === undefined || to.includes(name)),
      )
      .flatMap((notification) =>
        channelsOf(notification).map(
          (channel): QueuedNotice => ({
            ...{ notice: shortened(notice), to: notification.name, channel, attempts: 0, notBefore: 0 },
          }),
        ),
      ),
  )
  if (added.length === 0) return state
  const queue = [...state.queue, ...added]
  const over = Math.max(0, queue.length - MOST)
  return { ...state, queue: queue.slice(over), dropped: state.dropped + over }
}

export function channelsOf({ webhook, email }: NotificationConfig): Channel[] {
  return [...(webhook === undefined ? [] : ['webhook' as const]), ...(email === undefined ? [] : ['email' as const])]
}

/** What is to be sent now, which nobody else takes then for a while. Those whom nobody is to be told any more are left out. Pure. */
export function takeDue(
  state: NoticeState,
  notifications: readonly NotificationConfig[],
  { now, limit }: { readonly now: number; readonly limit: number },
): { state: NoticeState; result: QueuedNotice[] } {
  const queue = state.queue.filter(({ to, channel }) =>
    notifications.some((one) => one.name === to && channelsOf(one).includes(channel)),
  )
  const due = queue.filter(({ notBefore }) => notBefore <= now).slice(0, limit)
  const taken = queue.map((one) => (due.includes(one) ? { ...one, notBefore: now + TAKEN_MS } : one))
  return { state: { ...state, queue: taken }, result: due }
}

/** Notes how sending ended. Pure. */
export function settle(
  state: NoticeState,
  sent: QueuedNotice,
  { error, now }: { readonly error?: string; readonly now: number },
): NoticeState {
  const isIt = (one: QueuedNotice) =>
    one.notice.id === sent.notice.id && one.to === sent.to && one.channel === sent.channel
  const attempts = sent.attempts + 1
  const isOver = error === undefined || attempts >= MOST_ATTEMPTS || sent.notice.event === 'test'
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 20))
  const queue = isOver
    ? state.queue.filter((one) => !isIt(one))
    : state.queue.map((one) => (isIt(one) ? { ...one, attempts, notBefore: now + pause } : one))
  const delivery = { id: sent.notice.id, at: now, ...(error !== undefined && { error: error.slice(0, TEXT_LETTERS) }) }
  return { ...state, queue, deliveries: { ...state.deliveries, [`${sent.to}/${sent.channel}`]: delivery } }
}

function shortened(notice: Notice): Notice {
  const short = (text: string) => (text.length > TEXT_LETTERS ? `${text.slice(0, TEXT_LETTERS - 1)}…` : text)
  return {
    ...notice,
    subject: short(notice.subject).slice(0, 200),
    text: short(notice.text),
    ...(notice.error !== undefined && { error: short(notice.error) }),
  }
}
