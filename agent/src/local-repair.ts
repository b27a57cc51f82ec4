import { type Clock, errorText, type OperationLog, until } from '@pbmkit/core'

export interface LocalRepairOptions {
  /** What it looks for, for the log: `whether … left …`. */
  readonly what: string
  readonly everyMs: number
  readonly clock: Clock
  readonly log: OperationLog
  /** Puts right what it finds. Whether something is left to be done, or can't be judged yet. */
  readonly isLeft: () => Promise<boolean>
}

const LONGEST_PAUSE_MS = 60_000

/** What an agent before this one, or work that was broken off, left at the mongod beside this agent. */
export class LocalRepair {
  readonly #options: LocalRepairOptions
  #later: Promise<void> | undefined

  constructor(options: LocalRepairOptions) {
    this.#options = options
  }

  /** Until nothing is left, or the signal aborts; a fault is told once. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { what, everyMs, clock, log, isLeft } = this.#options
    let told = ''
    let faults = 0
    const isDone = async () => {
      if (signal.aborted) return true
      try {
        const left = await isLeft()
        faults = 0
        return !left
      } catch (error) {
        faults++
        const text = `cannot see ${what}: ${errorText(error)}`
        if (text !== told) log.warning(text)
        told = text
        return false
      }
    }
    // What can't be seen may stay so, such as a folder of another user.
    const pause = () => Math.max(everyMs, Math.min(everyMs * 2 ** faults, LONGEST_PAUSE_MS))
    await until(isDone, { clock, signal, everyMs: pause }).catch(() => undefined)
  }

  /** The same, after work that may have left something. */
  begin(signal: AbortSignal): void {
    this.#later ??= this.run(signal).finally(() => {
      this.#later = undefined
    })
  }

  /** What {@link begin} has begun and still goes on. */
  get underWay(): Promise<void> | undefined {
    return this.#later
  }
}
