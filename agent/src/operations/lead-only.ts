import {
  acquireLockAfterResync,
  busyText,
  isHeld,
  type LockDocument,
  type LockHeader,
  noteRefused,
  requireConfig,
} from '@pbmkit/core'
import type { OperationContext } from './context.js'

/**
 * Runs `work` on one member of the leader replica set: all of them race for the lock, and the one that gets it works while
 * the lock is held. Nothing happens on the others. `work` is given the configuration as it is then: while the lock was waited
 * for, somebody may have set another storage, whose list it is now.
 */
export async function onOneLeaderMember(
  context: OperationContext,
  type: LockHeader['type'],
  work: (signal: AbortSignal, held: OperationContext) => Promise<void>,
  /** Told of the lock where another member works. */
  onTaken: (by: LockDocument) => Promise<void> = async () => undefined,
): Promise<void> {
  if (context.self.rs === context.leaderReplset) await onOneMember(context, type, work, onTaken)
}

/** The same on each replica set. */
export async function onOneMember(
  context: OperationContext,
  type: LockHeader['type'],
  work: (signal: AbortSignal, held: OperationContext) => Promise<void>,
  onTaken: (by: LockDocument) => Promise<void> = async () => undefined,
): Promise<void> {
  const { leader, self, opid, config, log, clock, signal } = context
  const header = { type, replset: self.rs, node: self.node, opid, epoch: config.epoch }
  const lock = await acquireLockAfterResync({ leader, header, clock, log, signal })
  if (!isHeld(lock)) {
    if (lock.refused === 'taken' && lock.by !== undefined) await onTaken(lock.by)
    if (lock.refused !== 'concurrent') return
    await noteRefused(leader, context.command._id)
    log.error(busyText(lock.by))
    return
  }
  try {
    const held = { ...context, config: await requireConfig(leader) }
    await work(AbortSignal.any([signal, lock.signal]), held)
  } finally {
    await lock.release()
  }
}
