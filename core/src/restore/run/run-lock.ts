import type { MongoClient } from 'mongodb'
import { readEpoch } from '../../control/config.js'
import type { RestoreDocument } from '../../control/restore-document.js'
import { insertRestore, setRestoreStatus } from '../../control/restores.js'
import { unixSeconds } from '../../control/wire.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { type NodeInfo, nodeInfo } from '../../mongo/topology.js'
import { busyText } from '../../protocol/busy.js'
import { awaitRestoreState } from '../../protocol/convergence.js'
import { isHeld } from '../../protocol/lock.js'
import { acquireLockBehindResync } from '../../protocol/lock-wait.js'
import type { RunContext } from './run.js'

/** How long the leader's primary may take to write the record. */
const RECORD_MILLIS = 30_000

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
  /** Whoever waits for it learns at once that it will not begin; so do the other replica sets. */
  const refuse = async (error: string) => {
    log.error(`the ${kind} does not begin: ${error}`)
    if (info.isClusterLeader) await insertRestore(leader, run.record(unixSeconds(), await clusterTime(leader)))
    else await awaitRestoreState({ leader, name, state: 'starting', signal, clock, timeoutMillis: RECORD_MILLIS })
    await setRestoreStatus(leader, name, 'error', { error })
  }
  const lock = await acquireLockBehindResync({ leader, header, clock, log, signal })
  if (!isHeld(lock)) {
    // `done` and `taken`: this very command runs or ran; only a different operation is worth a record.
    if (lock.refused !== 'concurrent') {
      log.debug(`this ${kind} was taken by another node`)
      return 'refused'
    }
    await refuse(busyText(lock.by))
    return 'refused'
  }
  try {
    // An election while the lock was waited for: the new primary's agent has passed over the command.
    const now = await nodeInfo(node)
    if (!now.isPrimary) {
      await refuse(`the primary of ${self.rs} has changed; begin it again`)
      return 'refused'
    }
    await work(now, AbortSignal.any([signal, lock.signal]))
    return 'done'
  } finally {
    await lock.release()
  }
}
