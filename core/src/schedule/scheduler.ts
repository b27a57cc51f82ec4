import { type MongoClient, ObjectId } from 'mongodb'
import type { ScheduleConfig } from '../config/schedules.js'
import { findCommand, sendCommand } from '../control/commands.js'
import { readConfig } from '../control/config.js'
import { listLiveLocks } from '../control/locks.js'
import type { LogContext } from '../control/log-writer.js'
import type { RunDocuments } from '../control/run-documents.js'
import { changeRun, type EndedRun, endRun, type ScheduledRun, takeTick } from '../control/schedule-state.js'
import { ensureControlCollection } from '../control/setup.js'
import { isDuplicateKey } from '../control/wire.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { COMMANDS } from '../mongo/control-names.js'
import type { Member } from '../mongo/topology.js'
import { busyText } from '../protocol/busy.js'
import { nextTick } from '../time/cron.js'
import { rfc3339 } from '../time/text.js'
import { ACTIONS } from './actions.js'
import { type Due, dueOf } from './due.js'

/** How soon it is looked again while something is under way. */
const BUSY_MS = 2_000

export interface SchedulerOptions {
  readonly leader: MongoClient
  /** A member of the leader replica set. */
  readonly self: Member
  readonly log: (context: LogContext) => OperationLog
  /** Told when something has ended, or was left. */
  readonly onEnded?: () => void
}

/**
 * What the agent that leads the cluster does about schedules. It holds nothing itself: what was taken on stands in the control
 * collections, and whoever leads next goes on from there.
 */
export class Scheduler {
  readonly #options: SchedulerOptions

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  /** Does what is due at `now` (milliseconds since the epoch). Says when it wants to look again. */
  async look({ schedules, since, states }: RunDocuments, now: number): Promise<number> {
    let again = Number.POSITIVE_INFINITY
    // One after another, in their order: of two that are due at once the second waits for the first.
    const open: { schedule: ScheduleConfig; run: ScheduledRun }[] = []
    for (const schedule of schedules) {
      const state = states[schedule.name]
      const due = dueOf(schedule, { since: since[schedule.name] ?? now, state, now })
      const run = await this.#take(schedule, due, state?.run, state?.last, now)
      if (run !== undefined) open.push({ schedule, run })
      again = Math.min(again, nextTick(schedule, now) ?? again)
    }
    if (open.length > 0 && (await this.#carryOn(open, now))) again = now + BUSY_MS
    return again
  }

  /** What is under way of the schedule from then on. */
  async #take(
    { name }: ScheduleConfig,
    due: Due,
    run: ScheduledRun | undefined,
    last: EndedRun | undefined,
    now: number,
  ): Promise<ScheduledRun | undefined> {
    if (due.kind === 'nothing') return run
    const { leader, self } = this.#options
    const { tick } = due
    const log = this.#log(name, run?.opid)
    if (due.kind === 'leave') {
      const ended: EndedRun = { tick, status: due.status, why: due.why, endedAt: now }
      const taken = await takeTick(leader, name, { tick, ...(run !== undefined && { run }), last: ended }, now)
      if (taken) this.#options.onEnded?.()
      if (taken) log.warning(`${due.status} what was due at ${timeText(tick)}: ${due.why}`)
      return run
    }
    const why = `it waited until the next one was due${run?.why === undefined ? '' : `: ${run.why}`}`
    const ended: EndedRun | undefined =
      due.instead === undefined ? last : { tick: due.instead, status: 'skipped', endedAt: now, why }
    // The same id: it may have been sent by an agent that died before it noted that.
    const opid = run?.opid ?? new ObjectId().toHexString()
    const next: ScheduledRun = { tick, opid, status: 'waiting', by: `${self.rs}/${self.node}` }
    const state = { tick, run: next, ...(ended !== undefined && { last: ended }) }
    if (!(await takeTick(leader, name, state, now))) return undefined
    if (due.instead !== undefined) this.#options.onEnded?.()
    if (due.instead !== undefined) log.warning(`skipped what was due at ${timeText(due.instead)}: ${why}`)
    if (due.isLate) this.#log(name, opid).info(`makes up for ${timeText(tick)}, when no agent that leads was running`)
    return next
  }

  /** Whether something is still under way. */
  async #carryOn(open: readonly { schedule: ScheduleConfig; run: ScheduledRun }[], now: number): Promise<boolean> {
    const { leader } = this.#options
    let isUnderWay = false
    let inTheWay: string | undefined
    for (const { schedule, run } of open.filter((one) => one.run.status === 'sent')) {
      if (await this.#settle(schedule, run, now)) continue
      if (ACTIONS[schedule.do].locks) inTheWay ??= `${schedule.name} (schedule) is under way`
      isUnderWay = true
    }
    for (const { schedule, run } of open.filter((one) => one.run.status === 'waiting')) {
      if (schedule.enabled === false) {
        await this.#end(schedule, run, { status: 'skipped', why: 'it was paused' }, now)
        continue
      }
      const { locks } = ACTIONS[schedule.do]
      if (locks) inTheWay ??= await busyWith(leader)
      if (inTheWay === undefined || !locks) {
        const isSent = await this.#send(schedule, run, now)
        if (isSent && locks) inTheWay = `${schedule.name} (schedule) is under way`
      } else if (schedule.overlap === 'skip') {
        await this.#end(schedule, run, { status: 'skipped', why: inTheWay }, now)
        continue
      } else if (run.why !== inTheWay) {
        await changeRun(leader, schedule.name, run, { why: inTheWay })
        if (run.why === undefined) this.#log(schedule.name, run.opid).info(`waits: ${inTheWay}`)
      }
      isUnderWay = true
    }
    return isUnderWay
  }

  /** False where it could not be sent, and has ended. */
  async #send(schedule: ScheduleConfig, run: ScheduledRun, now: number): Promise<boolean> {
    const { leader } = this.#options
    const log = this.#log(schedule.name, run.opid)
    const config = await readConfig(leader)
    try {
      if (config === undefined) throw new Error('no configuration is set')
      const context = { leader, config, now }
      const command = await ACTIONS[schedule.do].command(schedule, context)
      let sent = command
      const _id = new ObjectId(run.opid)
      // Where somebody dropped it, an insert would make one that agents can't follow.
      await ensureControlCollection(leader, COMMANDS)
      await sendCommand(leader, command, _id).catch(async (error: unknown) => {
        if (!isDuplicateKey(error)) throw error
        // Another agent that leads, or led, has sent it, and called the backup by its own time.
        sent = (await findCommand(leader, _id)) ?? command
      })
      const name = sent.cmd === 'backup' ? { name: sent.backup.name } : {}
      await changeRun(leader, schedule.name, run, { status: 'sent', sentAt: now, ...name })
      log.info(`sent ${sent.cmd}${name.name === undefined ? '' : ` ${name.name}`}, due at ${timeText(run.tick)}`)
      return true
    } catch (error) {
      if (isOutage(error)) throw error
      await this.#end(schedule, run, { status: 'failed', why: errorText(error) }, now)
      return false
    }
  }

  /** Whether it has ended. */
  async #settle(schedule: ScheduleConfig, run: ScheduledRun, now: number): Promise<boolean> {
    const { leader } = this.#options
    const config = await readConfig(leader)
    if (config === undefined) return false
    const outcome = await ACTIONS[schedule.do].outcome(run, { leader, config, now })
    if (outcome === undefined) return false
    if (outcome.status === 'busy') {
      if (schedule.overlap !== 'skip') {
        // Under a new id: the refused one is never carried out.
        const opid = new ObjectId().toHexString()
        await changeRun(leader, schedule.name, run, { status: 'waiting', opid })
        return false
      }
      const why = outcome.why ?? 'another operation was running'
      await this.#end(schedule, run, { status: 'skipped', why }, now)
      return true
    }
    await this.#end(schedule, run, outcome as Pick<EndedRun, 'status' | 'why'>, now)
    return true
  }

  async #end(
    { name, do: kind }: ScheduleConfig,
    run: ScheduledRun,
    { status, why }: Pick<EndedRun, 'status' | 'why'>,
    now: number,
  ): Promise<void> {
    const ended: EndedRun = {
      ...{ tick: run.tick, status, endedAt: now, opid: run.opid },
      ...(run.name !== undefined && { name: run.name }),
      ...(why !== undefined && { why }),
    }
    if (!(await endRun(this.#options.leader, name, run, ended))) return
    this.#options.onEnded?.()
    const log = this.#log(name, run.opid)
    const text = `${kind} due at ${timeText(run.tick)}: ${status}${why === undefined ? '' : `: ${why}`}`
    if (status === 'done') log.info(text)
    else if (status === 'failed') log.error(text)
    else log.warning(text)
  }

  #log(name: string, opid?: string): OperationLog {
    return this.#options.log({ event: 'schedule', object: name, ...(opid !== undefined && { opid }) })
  }
}

async function busyWith(leader: MongoClient): Promise<string | undefined> {
  const [lock] = await listLiveLocks(leader)
  return lock === undefined ? undefined : busyText(lock)
}

/** What is tried again, as nothing is known of it. */
function isOutage(error: unknown): boolean {
  return error instanceof Error && error.name.startsWith('Mongo')
}

function timeText(milliseconds: number): string {
  return rfc3339(milliseconds / 1000)
}
