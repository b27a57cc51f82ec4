const judges = new WeakMap<AbortSignal, () => void>()

/**
 * Has {@link throwIfStopped} ask `assertAlive` as well, which throws: a process that was suspended goes on with what it was
 * about to send before any timer can tell it that others have taken over meanwhile. Gives the signal.
 * A signal derived from it (`AbortSignal.any`) has no judge: hand on this very one.
 */
export function judgedBy(signal: AbortSignal, assertAlive: () => void): AbortSignal {
  judges.set(signal, assertAlive)
  return signal
}

/** Right before what must not be done by somebody who was stopped. */
export function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  signal.throwIfAborted()
  judges.get(signal)?.()
}
