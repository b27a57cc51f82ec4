/**
 * What work that may be stopped is given. A process that was suspended goes on with what it was about to send before any timer
 * can tell it that others have taken over meanwhile: so the guard judges by the clock, not by the signal alone.
 */
export interface DeadlineGuard {
  /** Aborts when the work has to stop: for what waits. */
  readonly signal: AbortSignal
  /** Right before what must not be done by somebody who was stopped. Throws the reason. */
  throwIfStopped(): void
}

/** @param assertAlive throws when others may have taken over by now; left out where nobody would. */
export function deadlineGuard(signal: AbortSignal, assertAlive: () => void = () => undefined): DeadlineGuard {
  return {
    signal,
    throwIfStopped: () => {
      signal.throwIfAborted()
      assertAlive()
    },
  }
}
