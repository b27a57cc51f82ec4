import { type Clock, errorText, followLog, type LogEntry, maskText } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import { restoreEntries } from '../commands/list.js'
import { errorReport } from '../errors.js'
import { shownSchedules } from '../schedules.js'
import type { Session } from '../session.js'
import { backupsSection } from '../status/backups.js'
import { clusterSection } from '../status/cluster.js'
import { pitrSection } from '../status/pitr.js'
import { runningSection } from '../status/running.js'
import { PastReader } from './past-reader.js'
import type { Failed, History, LiveState, LogLine } from './protocol.js'

/** As often as agents tell how far they are. */
const ROUND_MS = 1_000
/** Schedules, and members and agents: these report every 5 s. */
const CLUSTER_EVERY_MS = 3_000
/** What is told of backups and chunks, also where nothing seems to have changed: the configuration may have. */
const HISTORY_EVERY_MS = 30_000
/** What a page is given of the log when it is opened, and the most that it has waiting. */
const LOG_LINES = 500

/** One viewer's end: told each part of the state when it changes. */
export interface Viewer {
  state<Part extends keyof LiveState>(part: Part, json: string): void
  /** Those that are new. */
  log(lines: readonly LogLine[]): void
}

/**
 * Reads the control collections for all viewers of one connection together, and only while there is one. Parts that have not
 * changed are not told again.
 */
export class Live {
  readonly #session: Session
  readonly #clock: Clock
  readonly #viewers = new Set<Viewer>()
  readonly #told = new Map<keyof LiveState, string>()
  #lines: LogLine[] = []
  #stop: AbortController | undefined
  #past: { readonly leader: MongoClient; readonly reader: PastReader } | undefined
  /** What ran when the past was told last. */
  #running = ''
  #sign = ''
  #clusterAt = 0
  #historyAt = 0

  constructor(session: Session) {
    this.#session = session
    this.#clock = session.clock
  }

  /** Tells a viewer all that is known, and then what changes, until the returned function is called. */
  watch(viewer: Viewer): () => void {
    if (this.#stop === undefined) this.#begin()
    for (const [part, json] of this.#told) viewer.state(part, json)
    if (this.#lines.length > 0) viewer.log(this.#lines)
    this.#viewers.add(viewer)
    return () => {
      if (this.#viewers.delete(viewer) && this.#viewers.size === 0) this.close()
    }
  }

  /** Reads all once, for a first viewer who will come soon. */
  prepare(): void {
    const stop = this.watch({ state: (part) => part === 'history' && stop(), log: () => undefined })
  }

  /** Reads no more. What was read is kept for the next viewer. */
  close(): void {
    this.#stop?.abort()
    this.#stop = undefined
  }

  /** Has all of it read and told at once: something was done. */
  expectChange(): void {
    this.#past = undefined
    this.#historyAt = 0
    this.#clusterAt = 0
  }

  #begin(): void {
    const stop = new AbortController()
    this.#stop = stop
    this.#clusterAt = 0
    // What was there when somebody looked last is no news; only of the past is it nearly all.
    for (const part of ['running', 'cluster', 'schedules', 'trouble'] as const) this.#told.delete(part)
    this.#lines = []
    void this.#rounds(stop.signal)
    void this.#follow(stop.signal)
  }

  async #rounds(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const leader = await this.#session.leader()
        await this.#fast(leader, signal)
        await this.#slow(leader, signal)
        this.#tell('trouble', '', signal)
      } catch (error) {
        this.#tell('trouble', maskText(errorText(error)), signal)
      }
      await this.#clock.sleep(ROUND_MS, signal).catch(() => undefined)
    }
  }

  async #fast(leader: MongoClient, signal: AbortSignal): Promise<void> {
    const running = await runningSection(leader)
    this.#tell('running', running, signal)
    const opids = JSON.stringify([running, ...(running.beside ?? [])].map(({ opID }) => opID))
    // Of what has ended, more may be in old records: what a verification has found.
    if (opids !== this.#running) this.expectChange()
    this.#running = opids
    const now = this.#clock.now()
    if (now - this.#clusterAt < CLUSTER_EVERY_MS) return
    this.#clusterAt = now
    this.#tell('schedules', await shownSchedules(leader, now), signal)
    this.#tell('cluster', await clusterSection(leader, true), signal)
  }

  async #slow(leader: MongoClient, signal: AbortSignal): Promise<void> {
    if (this.#past?.leader !== leader) this.#past = { leader, reader: new PastReader(leader, this.#clock) }
    const past = await this.#past.reader.look()
    const now = this.#clock.now()
    if (past.sign === this.#sign && now - this.#historyAt < HISTORY_EVERY_MS) return
    // Before all is read: what is expected meanwhile may not be in it.
    this.#historyAt = now
    const [pitr, backups, restores] = await Promise.all([
      tolerant(pitrSection(leader, past)),
      tolerant(backupsSection(this.#session, leader, past)),
      restoreEntries(leader),
    ])
    const history: History = { pitr, backups, restores }
    if (this.#tell('history', history, signal)) this.#sign = past.sign
  }

  /** False where nobody looks any more: another round may have begun since. */
  #tell<Part extends keyof LiveState>(part: Part, value: LiveState[Part], signal: AbortSignal): boolean {
    if (signal.aborted) return false
    const json = JSON.stringify(value)
    if (this.#told.get(part) === json) return true
    this.#told.set(part, json)
    for (const viewer of this.#viewers) viewer.state(part, json)
    return true
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const clock = this.#clock
    let batch: LogLine[] = []
    let isSending = false
    const send = async () => {
      isSending = true
      // A burst of lines is one event.
      await new Promise(setImmediate)
      isSending = false
      const lines = batch.splice(0)
      if (signal.aborted) return
      this.#lines = [...this.#lines, ...lines].slice(-LOG_LINES)
      for (const viewer of this.#viewers) viewer.log(lines)
    }
    while (!signal.aborted) {
      try {
        const leader = await this.#session.leader()
        for await (const entry of followLog(leader, { severity: 4, tail: LOG_LINES }, { signal, clock })) {
          batch.push(toLine(entry))
          if (!isSending) void send()
        }
      } catch {
        // Told by the rounds, which fail likewise.
        batch = []
        await clock.sleep(ROUND_MS, signal).catch(() => undefined)
      }
    }
  }
}

async function tolerant<Section>(section: Promise<Section>): Promise<Section | Failed> {
  try {
    return await section
  } catch (error) {
    const { Error: text, code } = errorReport(error)
    return { error: text, code }
  }
}

function toLine({ ts, s, rs, node, e, eobj, opid, msg }: LogEntry): LogLine {
  return { ts, s, rs, node, e, eobj, ...(opid === undefined ? {} : { opid }), msg }
}
