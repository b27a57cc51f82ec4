import { setTimeout as delay } from 'node:timers/promises'

/** Time as pipelines see it. Injected, so that tests drive it. Cluster time never comes from here (see mongo/cluster-time). */
export interface Clock {
  /** Milliseconds since the Unix epoch, of this machine. */
  now(): number
  /** Resolves after `milliseconds`; rejects with the signal's reason when it aborts first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    try {
      await delay(milliseconds, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}
