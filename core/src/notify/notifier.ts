import type { MongoClient } from 'mongodb'
import type { NotificationConfig } from '../config/notifications.js'
import { changeNotices, type NoticeState, type QueuedNotice } from '../control/notice-state.js'
import type { RunDocuments } from '../control/run-documents.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Clock } from '../time/clock.js'
import { stepAlarms } from './alarms.js'
import type { NoticeContext, Noticed } from './noticed.js'
import { enqueue, MOST_ATTEMPTS, settle, takeDue } from './queue.js'
import { NOTICE_SOURCES } from './sources.js'

/** How often it is looked for what is to be told, where nothing says that something has ended. */
const LOOK_MS = 60_000
/** Sent at a time. */
const AT_ONCE = 10

/** Sends one notice; rejects with why it could not be sent. */
export type SendNotice = (queued: QueuedNotice, notification: NotificationConfig) => Promise<void>

export interface NotifierOptions {
  readonly leader: MongoClient
  readonly clock: Clock
  readonly log: OperationLog
  readonly send: SendNotice
}

/**
 * Tells people what the control collections say. The agent that leads the cluster does it: what it notices is written into a
 * queue first, and leaves it when it has arrived. So each is told at least once, and nobody else waits for that.
 */
export class Notifier {
  readonly #options: NotifierOptions
  #nextLook = 0
  readonly #failing = new Set<string>()
  #delivering: Promise<void> | undefined

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  /** Something has ended: it is looked at with the next {@link look}. */
  wake(): void {
    this.#nextLook = 0
  }

  /** Puts into the queue what is new; begins to send what is due, and does not wait for that. True to be called again at once. */
  async look(documents: RunDocuments): Promise<boolean> {
    const { clock, log } = this.#options
    const now = clock.now()
    if (documents.notifications.length > 0 && now >= this.#nextLook) {
      this.#nextLook = now + LOOK_MS
      if (await this.#notice(documents, now)) return true
    }
    const isDue = documents.notices.queue.some(({ notBefore }) => notBefore <= now)
    if (!isDue || this.#delivering !== undefined) return false
    this.#delivering = this.#deliver(documents.notifications)
      .catch((error: unknown) => log.warning(`notifications are sent later: ${errorText(error)}`))
      .finally(() => {
        this.#delivering = undefined
      })
    return false
  }

  /** What {@link look} has begun to send. */
  get underWay(): Promise<void> | undefined {
    return this.#delivering
  }

  /** Whether there is something to be sent. */
  async #notice(documents: RunDocuments, now: number): Promise<boolean> {
    const { leader } = this.#options
    const found = await this.#lookAtAll(leader, { documents, now })
    const conditions = found.flatMap((one) => one.conditions ?? [])
    const { alarms, notices } = stepAlarms(documents.notices.alarms, conditions, now)
    const changes: Partial<NoticeState> = { alarms }
    for (const { state } of found) Object.assign(changes, state)
    const told = [...found.flatMap((one) => one.notices ?? []).map((notice) => ({ notice })), ...notices]
    const seen = comparable(documents.notices)
    // Nothing but the time has gone on.
    if (told.length === 0 && comparable({ ...documents.notices, ...changes }) === seen) return false
    return await changeNotices(leader, (state) => {
      // Another agent that leads has looked meanwhile, and told.
      if (comparable(state) !== seen) return { state, result: false }
      const next = enqueue({ ...state, ...changes }, told, documents.notifications)
      return { state: next, result: next.queue.length > 0 }
    })
  }

  /** One that fails keeps nobody from being told of the others; what was the case by it stays so. */
  async #lookAtAll(leader: MongoClient, context: NoticeContext): Promise<Noticed[]> {
    const looks = await Promise.allSettled(NOTICE_SOURCES.map((source) => source.look(leader, context)))
    const failed = looks.find((look) => look.status === 'rejected')
    // That is the server, and told by who asked.
    if (failed !== undefined && looks.every(({ status }) => status === 'rejected')) throw failed.reason
    return NOTICE_SOURCES.map(({ what, lasting }, at): Noticed => {
      const look = looks[at]
      if (look?.status === 'fulfilled') {
        this.#failing.delete(what)
        return look.value
      }
      if (!this.#failing.has(what)) this.#options.log.warning(`${what} can't be looked at: ${errorText(look?.reason)}`)
      this.#failing.add(what)
      const alarms = context.documents.notices.alarms.filter(({ event }) => event === lasting)
      return { conditions: alarms.map((alarm) => ({ ...alarm, patienceMs: Number.POSITIVE_INFINITY })) }
    })
  }

  async #deliver(notifications: readonly NotificationConfig[]): Promise<void> {
    const { leader, clock } = this.#options
    const due = await changeNotices(leader, (state) =>
      takeDue(state, notifications, { now: clock.now(), limit: AT_ONCE }),
    )
    await Promise.all(due.map((queued) => this.#sendOne(queued, notifications)))
  }

  async #sendOne(queued: QueuedNotice, notifications: readonly NotificationConfig[]): Promise<void> {
    const { leader, clock, log, send } = this.#options
    const notification = notifications.find(({ name }) => name === queued.to)
    if (notification === undefined) return
    const error = await send(queued, notification).then(
      () => undefined,
      (reason: unknown) => errorText(reason),
    )
    const where = `notification ${queued.to}, ${queued.channel}`
    if (error === undefined && queued.attempts > 0) log.info(`${where}: arrived`)
    else if (error !== undefined && queued.attempts === 0) log.warning(`${where}: ${error}`)
    else if (error !== undefined && queued.attempts + 1 >= MOST_ATTEMPTS)
      log.error(`${where}: given up after ${MOST_ATTEMPTS} attempts: ${queued.notice.subject}: ${error}`)
    const outcome = { now: clock.now(), ...(error !== undefined && { error }) }
    await changeNotices(leader, (state) => ({ state: settle(state, queued, outcome), result: undefined }))
  }
}

/** What a look changes, but for the time that it goes by. */
function comparable({ told, chunks, agents, alarms, endedSince }: NoticeState): string {
  return JSON.stringify([told, chunks, agents, alarms, endedSince > 0])
}
