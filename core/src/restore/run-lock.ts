import type { MongoClient } from 'mongodb'
import { readEpoch } from '../control/config.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { insertRestore, setRestoreStatus } from '../control/restores.js'
import { unixSeconds } from '../control/wire.js'
import { clusterTime } from '../mongo/cluster-time.js'
import { type NodeInfo, nodeInfo } from '../mongo/topology.js'
import { busyText } from '../protocol/busy.js'
import { acquireLock, isHeld } from '../protocol/lock.js'
import type { RunContext } from './run.js'

/** What became of a command. `not-primary`: another agent's work. `refused`: another operation has the lock. */
export type RestoreOutcome = 'done' | 'not-primary' | 'refused'

export interface LockedRun {
  readonly kind: 'restore' | 'replay'
  readonly name: string
  readonly opid: string
  readonly signal: AbortSignal
  record(now: number, hb: RestoreDocument['hb']): RestoreDocument
}

/**
 * Runs `work` on the primary, with the lock of its replica set held: a command that reaches several agents runs once.
 * `stopped` aborts when the lock is lost, too.
 */
export async function onLockedPrimary(
  context: RunContext & { readonly node: MongoClient },
  run: LockedRun,
  work: (info: NodeInfo, stopped: AbortSignal) => Promise<void>,
): Promise<RestoreOutcome> {
  const { node, leader, self, log, clock } = context
  const { kind, name, opid, signal } = run
  const info = await nodeInfo(node)
  if (!info.isPrimary) return 'not-primary'
  const epoch = (await readEpoch(leader)) ?? (await clusterTime(leader))
  const header = { type: kind, replset: self.rs, node: self.node, opid, epoch }
  const lock = await acquireLock({ leader, header, clock, log })
  if (!isHeld(lock)) {
    // `done` and `taken`: this very command runs or ran; only a different operation is worth a record.
    if (lock.refused !== 'concurrent') {
      log.debug(`this ${kind} was taken by another node`)
      return 'refused'
    }
    const error = busyText(lock.by)
    log.error(`the ${kind} does not begin: ${error}`)
    if (!info.isClusterLeader) return 'refused'
    // Whoever waits for it learns at once that it will not begin.
    await insertRestore(leader, run.record(unixSeconds(), await clusterTime(leader)))
    await setRestoreStatus(leader, name, 'error', { error })
    return 'refused'
  }
  try {
    await work(info, AbortSignal.any([signal, lock.signal]))
    return 'done'
  } finally {
    await lock.release()
  }
}
