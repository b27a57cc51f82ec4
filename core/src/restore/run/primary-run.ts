import { type MongoClient, ObjectId } from 'mongodb'
import { noteRefused } from '../../control/commands.js'
import { readConfig, readEpoch, resetEpoch } from '../../control/config.js'
import { emptyReplset } from '../../control/new-restore.js'
import type { RestoreDocument, RestoreStatus } from '../../control/restore-document.js'
import {
  addRestoreReplset,
  clearMade,
  findRestore,
  hasChangedData,
  insertRestore,
  setRestoreStatus,
} from '../../control/restores.js'
import { requireRights } from '../../control/rights.js'
import { isTerminal, RESTORE_STATES } from '../../control/state-machine.js'
import { unixSeconds } from '../../control/wire.js'
import { PbmError } from '../../errors.js'
import { clusterTime } from '../../mongo/cluster-time.js'
import { clusterMembers, type NodeInfo, nodeInfo } from '../../mongo/topology.js'
import { busyText } from '../../protocol/busy.js'
import { awaitState } from '../../protocol/convergence.js'
import { type HeldLock, isHeld } from '../../protocol/lock.js'
import { acquireLockAfterResync } from '../../protocol/lock-wait.js'
import type { DataWords } from '../../protocol/operation-failure.js'
import { RESTORE_KIND } from '../../protocol/operation-kind.js'
import { OperationRun, type OperationSteps, type RunContext } from '../../protocol/operation-run.js'
import { refuseShortcomings } from './shortcomings.js'

/** How long the leader's primary may take to write the record. */
const RECORD_MS = 30_000
/** How long the primaries' agents are given to join: a little longer than one that comes into office takes. */
const JOIN_MS = 45_000

/** What became of a command. `not-primary`: another agent's work, or none for a shard that was removed. `refused`: another operation has the lock. */
export type RestoreOutcome = 'done' | 'not-primary' | 'refused'

/** What differs between a restore and a replay. */
export interface PrimaryRun {
  readonly type: 'restore' | 'replay'
  readonly name: string
  readonly opid: string
  readonly words: DataWords
  /** Aborts when the agent stops. */
  readonly signal: AbortSignal
  record(now: number, hb: RestoreDocument['hb']): RestoreDocument
  /** The leader's, after a failure: switches on again what was off. */
  resume?(): Promise<void>
}

export interface PrimarySteps extends OperationSteps<RestoreStatus> {
  readonly info: NodeInfo
}

/**
 * Runs `work` on the primary, with the lock of its replica set held: a command that reaches several agents runs once.
 * Rejects with what it failed with, which its record says before.
 */
export async function runOnPrimary(
  context: RunContext & { readonly node: MongoClient },
  run: PrimaryRun,
  work: (steps: PrimarySteps) => Promise<void>,
): Promise<RestoreOutcome> {
  const { node, leader, self, log, clock } = context
  const { type, name, opid, signal } = run
  const info = await nodeInfo(node)
  if (!info.isPrimary) return 'not-primary'
  // A shard that was removed is still connected, and knows of the command.
  if (!(await clusterMembers(leader)).some(({ rs }) => rs === self.rs)) {
    log.info(`the ${type} is not for ${self.rs}, which is no part of the cluster`)
    return 'not-primary'
  }
  // Agents that have just started take up what is some seconds old, those of a shard that was just added, too.
  const known = await findRestore(leader, name)
  if (known !== undefined && isTerminal(RESTORE_STATES, known.status)) {
    log.info(`the ${type} is over: it is ${known.status}`)
    return 'not-primary'
  }
  const epoch = (await readEpoch(leader)) ?? (await clusterTime(leader))
  const header = { type, replset: self.rs, node: self.node, opid, epoch }
  /** Whoever waits for it learns at once that it will not begin; so do the other replica sets. */
  const refuse = async (error: string): Promise<RestoreOutcome> => {
    log.error(`the ${type} does not begin: ${error}`)
    await announce(context, run, info.isClusterLeader, signal)
    await setRestoreStatus(leader, name, 'error', { error })
    return 'refused'
  }
  const lock = await acquireLockAfterResync({ leader, header, clock, log, signal })
  if (!isHeld(lock)) {
    // `done` and `taken`: this very command runs or ran; only a different operation is worth a record.
    if (lock.refused === 'concurrent') {
      const busy = busyText(lock.by)
      // Nobody else takes part who would have to learn of it by a record, which would be listed for ever.
      if (info.isSharded) return await refuse(busy)
      log.error(`the ${type} does not begin: ${busy}`)
      await noteRefused(leader, ObjectId.createFromHexString(opid))
      return 'refused'
    }
    log.debug(`this ${type} was taken by another node`)
    return 'refused'
  }
  try {
    // An election while the lock was waited for: the new primary's agent has passed over the command.
    const now = await nodeInfo(node)
    if (!now.isPrimary) return await refuse(`the primary of ${self.rs} has changed; begin it again`)
    await execute(context, run, { info: now, lock }, async (steps) => {
      // Half a restore is worse than none.
      await requireRights(node, 'agent', { sharded: now.isSharded, version: now.version })
      await work(steps)
    })
    return 'done'
  } finally {
    await lock.release()
  }
}

async function execute(
  context: RunContext,
  run: PrimaryRun,
  { info, lock }: { readonly info: NodeInfo; readonly lock: HeldLock },
  work: (steps: PrimarySteps) => Promise<void>,
): Promise<void> {
  const { leader, self, log } = context
  const { type, name, words, signal, resume } = run
  const leads = info.isClusterLeader
  const replsets = (await clusterMembers(leader)).map(({ rs }) => rs)
  const operation = new OperationRun(context, {
    kind: RESTORE_KIND,
    title: `the ${type}`,
    ...{ name, leads, replsets, lock, signal },
    announce: async (stopped) => {
      const isNew = await announce(context, run, leads, stopped)
      if (!isNew) throw new PbmError('RESTORE_EXISTS', `There is a ${type} ${name} already`)
      await addRestoreReplset(leader, name, { ...emptyReplset(self.rs, unixSeconds()), node: self.node })
    },
    joinMs: JOIN_MS,
    data: { words, hasChanged: hasChangedData },
    putBack: ({ text: error, reached }) => putBack(context, run, error, reached),
    ...(resume === undefined ? {} : { resume }),
  })
  await operation.execute(async (steps) => {
    await work({ ...steps, info })
    const before = async () => {
      await clearMade(leader, name)
      await refuseShortcomings(leader, name)
    }
    await steps.reach('done', { before })
    if (leads && (await readConfig(leader)) !== undefined) await resetEpoch(leader)
    log.info(`the ${type} is done`)
  })
}

/** The record that everybody waits for, made by the leader. False where there is one of that name already. */
async function announce(
  { leader, clock }: RunContext,
  { name, record }: PrimaryRun,
  leads: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const isNew = !leads || (await insertRestore(leader, record(unixSeconds(), await clusterTime(leader))))
  if (!isNew) return false
  await awaitState(RESTORE_KIND, { leader, name, state: 'starting', signal, clock, timeoutMs: RECORD_MS })
  return true
}

/** Without a record, nobody could see that the data is incomplete, nor that it failed at all. */
async function putBack(
  { leader, self }: RunContext,
  { record }: PrimaryRun,
  error: string,
  reached: RestoreStatus = 'starting',
): Promise<void> {
  const now = unixSeconds()
  const part = { ...emptyReplset(self.rs, now), node: self.node, status: 'error' as const, error }
  await insertRestore(leader, {
    ...record(now, await clusterTime(leader)),
    ...{ status: 'error', error, conditions: [{ timestamp: now, status: reached }], replsets: [part] },
  })
}
