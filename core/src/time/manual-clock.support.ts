import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from './clock.js'

interface Sleeper {
  at: number
  wake: () => void
}

/** A clock for tests: time stands still until it is moved. */
export class ManualClock implements Clock {
  #time: number
  #sleepers: Sleeper[] = []

  constructor(start = 1_700_000_000_000) {
    this.#time = start
  }

  now(): number {
    return this.#time
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const sleeper = { at: this.#time + milliseconds, wake: resolve }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  /** Moves time on without waking anybody: what a suspended process sees. */
  jump(milliseconds: number): void {
    this.#time += milliseconds
  }

  /** Moves time on, waking sleepers in the order of their times and letting each go on before the next. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds
    while (true) {
      await turn()
      const next = this.#sleepers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next)
      this.#time = Math.max(this.#time, next.at)
      next.wake()
    }
    this.#time = end
    await turn()
  }
}
