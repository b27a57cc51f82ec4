import { STALE_SECONDS } from '../mongo/cluster-time.js'
import { type Clock, systemClock } from '../time/clock.js'

export const HEARTBEAT_MS = 5_000
const RETRY_MS = 1_000

/**
 * Without a written heartbeat for so long, its owner stops. Others take over once the heartbeat is more than
 * {@link STALE_SECONDS} behind cluster time; the difference is what the owner has left to notice and stop.
 */
export const LOST_MS = (STALE_SECONDS - 5) * 1000

export interface HeartbeatOptions {
  /** Writes one heartbeat. False when there is nothing to write to any more: lost, at once. May reject: tried again. */
  beat: () => Promise<boolean>
  /** What the signal aborts with. `silent`: heartbeats could not be written for too long; `cause` is the last fault. */
  reason: (why: 'gone' | 'silent', cause?: unknown) => Error
  clock?: Clock | undefined
  /** When the first heartbeat was begun, by the clock; now, when left out. */
  since?: number | undefined
  /** Told of each heartbeat that could not be written. */
  onFailure?: ((error: unknown) => void) | undefined
}

export interface Heartbeat {
  /** Aborted with `reason` when lost. Not aborted by `stop`. */
  readonly signal: AbortSignal
  /** Throws the reason when lost, judging by the clock even before a timer could fire: after a suspended process, say. */
  assertAlive(): void
  /** Ends the heartbeat; resolves when none is under way any more. */
  stop(): Promise<void>
}

/** Beats every 5 s, again after 1 s when that failed, until stopped or lost. The first beat is the caller's. */
export function startHeartbeat({ beat, reason, clock = systemClock, since, onFailure }: HeartbeatOptions): Heartbeat {
  const lost = new AbortController()
  const stopped = new AbortController()
  const ended = AbortSignal.any([lost.signal, stopped.signal])
  let written = since ?? clock.now()
  let fault: unknown

  const lose = (why: 'gone' | 'silent') => {
    if (!ended.aborted) lost.abort(reason(why, fault))
  }
  const checkSilence = () => {
    if (clock.now() - written >= LOST_MS) lose('silent')
  }

  const beating = async () => {
    let pause = HEARTBEAT_MS
    while (!ended.aborted) {
      await clock.sleep(pause, ended)
      // After a pause of the whole process a beat might still be written, over a lock that others already judge stale.
      checkSilence()
      if (ended.aborted) return
      // The cluster time that is written is read after this moment, so the deadline errs towards stopping early.
      const started = clock.now()
      try {
        if (!(await beat())) return lose('gone')
        written = started
        pause = HEARTBEAT_MS
      } catch (error) {
        fault = error
        pause = RETRY_MS
        onFailure?.(error)
      }
    }
  }
  // Apart from the beats, since a beat on a dead connection can hang longer than there is time.
  const watching = async () => {
    while (!ended.aborted) {
      await clock.sleep(Math.max(1, written + LOST_MS - clock.now()), ended)
      checkSilence()
    }
  }
  const ignore = () => undefined
  const beats = beating().catch(ignore)
  void watching().catch(ignore)

  return {
    signal: lost.signal,
    assertAlive: () => {
      checkSilence()
      lost.signal.throwIfAborted()
    },
    stop: async () => {
      stopped.abort()
      // A beat that hangs must not hold up the release of what it beats for: it can only write over what is left.
      await Promise.race([beats, clock.sleep(RETRY_MS)])
    },
  }
}
