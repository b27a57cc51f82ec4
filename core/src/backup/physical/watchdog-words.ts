/** What the agent tells its watchdog, and what it answers. Nothing of it ever stands in a command line. */
export type WatchdogOrder =
  | { readonly kind: 'open'; readonly uri: string; readonly dbPath: string; readonly maxLockMs: number | undefined }
  | { readonly kind: 'lock' }
  /** Still alive. */
  | { readonly kind: 'beat' }
  | { readonly kind: 'release' }

export type WatchdogWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'locked' }
  /** `fault`: why the lock was ended before it was asked to be. */
  | { readonly kind: 'released'; readonly lockedMs: number; readonly fault?: string }
  | { readonly kind: 'failed'; readonly code: string; readonly error: string }

/** How often the agent says that it is alive, and how long without it counts as dead. */
export const BEAT_MS = 500
export const SILENT_MS = 5_000

/** Milliseconds by one clock. */
export interface LockTimes {
  readonly now: number
  /** When the lock was asked for. */
  readonly asked: number
  readonly lastBeat: number
  readonly maxLockMs: number | undefined
}

/** Why a lock has to end now; undefined where it may go on. Pure. */
export function whyUnlock({ now, asked, lastBeat, maxLockMs }: LockTimes): string | undefined {
  if (maxLockMs !== undefined && now - asked >= maxLockMs) return `it took longer than ${maxLockMs / 1000} s`
  if (now - lastBeat >= SILENT_MS) return `the agent has been silent for ${SILENT_MS / 1000} s`
  return undefined
}
