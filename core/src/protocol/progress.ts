import type { Timestamp } from 'bson'
import type { Progress } from '../control/backup-document.js'
import { ProgressCounter } from '../control/progress.js'
import { toTimestamp } from '../oplog/entry.js'
import type { Clock } from '../time/clock.js'

const INTERVAL_MS = 250

/**
 * Counts, and publishes in passing: at each phase, and at most every quarter of a second. There is no timer; what fails
 * to be published is left to the next time, for the heartbeat is what judges the connection.
 */
export class ProgressPublisher {
  readonly #counter: ProgressCounter
  readonly #clock: Clock
  readonly #publish: (progress: Progress, op: Timestamp | undefined) => Promise<unknown>
  #op: bigint | undefined
  #published = 0
  #underWay: Promise<unknown> | undefined
  #outdated = false

  constructor(clock: Clock, publish: (progress: Progress, op: Timestamp | undefined) => Promise<unknown>) {
    this.#clock = clock
    this.#counter = new ProgressCounter(clock)
    this.#publish = publish
  }

  /** Totals are 0 where unknown. */
  phase(name: string, totals: { bytes: number; documents: number } = { bytes: 0, documents: 0 }): void {
    this.#counter.phase(name, totals)
    this.#tell()
  }

  add(documents: number, bytes: number): void {
    this.#counter.add(documents, bytes)
    if (this.#clock.now() - this.#published >= INTERVAL_MS) this.#tell()
  }

  /** The oplog is replayed up to here: what a restore that goes on for long is judged by. */
  replayed(ts: bigint): void {
    this.#op = ts
  }

  /** Waits for what is being published, so that nothing is written after the operation's end. */
  async settle(): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay
  }

  #tell(): void {
    this.#outdated = this.#underWay !== undefined
    if (this.#outdated) return
    this.#published = this.#clock.now()
    this.#underWay = this.#publish(this.#counter.snapshot(), this.#op === undefined ? undefined : toTimestamp(this.#op))
      .catch(() => undefined)
      .finally(() => {
        this.#underWay = undefined
        if (this.#outdated) this.#tell()
      })
  }
}
