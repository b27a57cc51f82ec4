import type { LockDocument } from '../control/locks.js'

/**
 * Operations during which the oplog must not be stored: it would hold what a restore does, or go to a storage whose
 * chunks are being listed anew. Their locks are in `pbmLock`. Backups are none of them: slicing goes on through them, so
 * that the chain of chunks never breaks. PBM allows that for a slicer that runs (PBM: control-plane.md §3, Concurrency);
 * its own pauses, and copies the backup's oplog afterwards.
 */
const STOPPING: ReadonlySet<LockDocument['type']> = new Set(['restore', 'resync'])
/** Operations beside which slicing goes on, but does not begin. */
const DELAYING: ReadonlySet<LockDocument['type']> = new Set([...STOPPING, 'replay'])

/** The operation for which slicing has to stop. `locks` are live. */
export function stopsSlicing(locks: readonly LockDocument[]): LockDocument | undefined {
  return locks.find(({ type }) => STOPPING.has(type))
}

/** The operation that keeps slicing from beginning. `locks` are live. */
export function delaysSlicing(locks: readonly LockDocument[]): LockDocument | undefined {
  return locks.find(({ type }) => DELAYING.has(type))
}
