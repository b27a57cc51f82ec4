import type { MongoClient } from 'mongodb'
import { type LockDocument, type LockHeader, listLiveLocks } from '../control/locks.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { type AcquireOptions, acquireLock, type HeldLock, isHeld, type LockRefused } from './lock.js'

const POLL_MS = 100

/**
 * How long an operation waits for one that reads the storage anew: shorter than any program waits for an operation to
 * begin, PBM's too (PBM: control-plane.md §5.5).
 */
export const RESYNC_PATIENCE_MS = 12_000

interface Patience {
  readonly clock?: Clock | undefined
  readonly signal: AbortSignal
  /** In all. */
  readonly patienceMs?: number
}

/**
 * The operation that keeps another one from beginning, undefined when there is none. Reading the storage begins by itself
 * where the list is empty or the storage was configured, and takes a moment: nobody should have to know of it, so its end
 * is waited for. Rejects with the signal's reason.
 */
export async function operationInTheWay(
  leader: MongoClient,
  wait: Patience & { /** The operation that would begin. */ readonly opid?: string },
): Promise<LockDocument | undefined> {
  const { clock = systemClock, signal, patienceMs = RESYNC_PATIENCE_MS, opid } = wait
  let found: LockDocument | undefined
  const isSettled = async () => {
    const running = (await listLiveLocks(leader)).filter((lock) => opid === undefined || lock.opid !== opid)
    found = running.find((lock) => !isResync(lock)) ?? running[0]
    return !isResync(found)
  }
  await until(isSettled, { clock, signal, everyMs: POLL_MS, timeoutMs: patienceMs })
  return found
}

/** Takes the lock, behind a resync where one has it: as {@link operationInTheWay}. */
export async function acquireLockAfterResync(options: AcquireOptions & Patience): Promise<HeldLock | LockRefused> {
  const { clock = systemClock, signal, patienceMs = RESYNC_PATIENCE_MS } = options
  const end = clock.now() + patienceMs
  const settled = async () => {
    const lock = await acquireLock({ ...options, clock })
    const isBehindResync = !isHeld(lock) && lock.refused === 'concurrent' && isResync(lock.by)
    return !isBehindResync || clock.now() >= end ? lock : undefined
  }
  return await until(settled, { clock, signal, everyMs: POLL_MS })
}

export function isResync(lock: LockHeader | undefined): boolean {
  return lock?.type === 'resync'
}
