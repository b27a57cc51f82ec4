import { setTimeout as delay } from 'node:timers/promises'

/** Time as pipelines see it. Injected, so that tests drive it. Cluster time never comes from here (see mongo/cluster-time). */
export interface Clock {
  /** Milliseconds since the Unix epoch, of this machine. */
  now(): number
  /** Resolves after `milliseconds`; rejects with the signal's reason when it aborts first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

/** Node's timers fire at once when they are to wait for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    try {
      const options = signal === undefined ? {} : { signal }
      let left = milliseconds
      for (; left > LONGEST_TIMER_MS; left -= LONGEST_TIMER_MS) {
        await delay(LONGEST_TIMER_MS, undefined, options)
      }
      await delay(left, undefined, options)
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}
