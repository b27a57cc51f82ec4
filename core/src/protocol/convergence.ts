import type { MongoClient } from 'mongodb'
import { listLocks } from '../control/locks.js'
import { hasReached, isFailure, isTerminal } from '../control/state-machine.js'
import { PbmError } from '../errors.js'
import { clusterTime, isStale, secondsOf } from '../mongo/cluster-time.js'
import { type Clock, systemClock } from '../time/clock.js'
import { until } from '../time/until.js'
import { BACKUP_CANCELED, backupCanceled } from './canceled.js'
import type { OperationKind, OperationRecord } from './operation-kind.js'

const POLL_MS = 50
/** Locks and cluster time are looked at less often than states: death takes half a minute to show anyway. */
const LIVENESS_MS = 1_000
/** How often each replica set looks how the others fare. */
const WATCH_MS = 1_000
const WATCH_FAULTS: ReadonlySet<string> = new Set([
  ...['OPERATION_ENDED', 'REPLSET_FAILED', 'REPLSET_LOST', 'LEADER_LOST'],
  BACKUP_CANCELED,
])

interface Waiting {
  readonly leader: MongoClient
  /** Name of the operation. */
  readonly name: string
  readonly signal: AbortSignal
  readonly clock?: Clock
  /** Milliseconds; left out for no limit. */
  readonly timeoutMs?: number | undefined
}

export interface StateWait<State> extends Waiting {
  readonly state: State
}

/**
 * The leader's wait: until every one of `replsets` has reached `state` (PBM: control-plane.md §5.1, Convergence).
 * Rejects with the signal's reason, OPERATION_GONE, REPLSET_FAILED (one failed; its words), REPLSET_LOST (its agent
 * gives no heartbeat), BACKUP_CANCELED, OPERATION_ENDED (the whole was marked failed meanwhile) and CONVERGENCE_TIMEOUT.
 */
export async function awaitReplsets<State extends string>(
  kind: OperationKind<State>,
  wait: StateWait<State> & { readonly replsets: readonly string[] },
): Promise<void> {
  const { state, replsets } = wait
  const waited = `replica sets ${replsets.join(', ')} of ${kind.what} ${wait.name} to be ${state}`
  const missing = () => new PbmError('OPERATION_GONE', `the record of ${kind.what} ${wait.name} is gone`)
  await poll(wait, waited, async (lookForDeath) => {
    const operation = await kind.find(wait.leader, wait.name)
    if (operation === undefined) throw missing()
    refuseEnded(kind, wait.name, operation)
    const laggards: string[] = []
    for (const name of replsets) {
      const part = operation.replsets.find((replset) => replset.name === name)
      if (part !== undefined) refuseFailed(kind, part)
      if (part === undefined || !hasReached(kind.replsetMachine, part.status, state)) laggards.push(name)
    }
    if (laggards.length > 0 && lookForDeath) await refuseLost(wait.leader, operation.opid, laggards)
    return laggards.length === 0
  })
}

/**
 * A follower's wait: until the operation as a whole has reached `state` (PBM: control-plane.md §5.1, Followers). A record
 * that is not there yet is waited for.
 * Rejects with the signal's reason, OPERATION_GONE (it was there and is not), BACKUP_CANCELED, OPERATION_ENDED,
 * LEADER_LOST (its heartbeat is stale) and CONVERGENCE_TIMEOUT.
 */
export async function awaitState<State extends string>(
  kind: OperationKind<State>,
  wait: StateWait<State>,
): Promise<void> {
  const { state } = wait
  let appeared = false
  await poll(wait, `${kind.what} ${wait.name} to be ${state}`, async (lookForDeath) => {
    const operation = await kind.find(wait.leader, wait.name)
    if (operation === undefined) {
      if (appeared) throw new PbmError('OPERATION_GONE', `the record of ${kind.what} ${wait.name} is gone`)
      return false
    }
    appeared = true
    if (hasReached(kind.machine, operation.status, state)) return true
    refuseEnded(kind, wait.name, operation)
    if (lookForDeath) await refuseLeaderless(kind, wait.leader, operation, wait.name)
    return false
  })
}

export interface OperationWatch {
  /** Aborted when the operation has failed elsewhere, with the reason. */
  readonly signal: AbortSignal
  stop(): void
}

interface Watched {
  readonly leader: MongoClient
  /** Name of the operation. */
  readonly name: string
  readonly clock: Clock
  /** The leader looks at the other replica sets and their locks; the others look at the leader. */
  readonly leads: boolean
}

/**
 * Looks after the others while this replica set works, which may take hours: a shard that fails, or whose agents die, ends
 * the operation everywhere within seconds. What can't be read is tried again: each agent's own heartbeat judges that.
 */
export function watchOperation<State extends string>(
  kind: OperationKind<State>,
  { leader, name, clock, leads }: Watched,
): OperationWatch {
  const failed = new AbortController()
  const stopped = new AbortController()
  const look = async () => {
    const operation = await kind.find(leader, name)
    // Its absence is for the heartbeat and the next change of state to judge.
    if (operation === undefined) return
    if (isFailure(kind.machine, operation.status)) refuseEnded(kind, name, operation)
    if (isTerminal(kind.machine, operation.status)) return
    if (!leads) return await refuseLeaderless(kind, leader, operation, name)
    for (const part of operation.replsets) refuseFailed(kind, part)
    const running = operation.replsets.filter(({ status }) => !isTerminal(kind.replsetMachine, status))
    await refuseLost(
      leader,
      operation.opid,
      running.map((part) => part.name),
    )
  }
  const watching = async () => {
    while (!stopped.signal.aborted) {
      await clock.sleep(WATCH_MS, stopped.signal)
      await look().catch((error: unknown) => {
        if (error instanceof PbmError && WATCH_FAULTS.has(error.code)) failed.abort(error)
      })
      if (failed.signal.aborted) return
    }
  }
  void watching().catch(() => undefined)
  return { signal: failed.signal, stop: () => stopped.abort() }
}

async function refuseLeaderless<State extends string>(
  kind: OperationKind<State>,
  leader: MongoClient,
  { hb }: OperationRecord<State>,
  name: string,
): Promise<void> {
  const now = await clusterTime(leader)
  if (!isStale(hb, now)) return
  const silent = secondsOf(now) - secondsOf(hb)
  throw new PbmError('LEADER_LOST', `the leader of ${kind.what} ${name} gave no heartbeat for ${silent} s`)
}

function refuseFailed<State extends string>(
  kind: OperationKind<State>,
  part: OperationRecord<State>['replsets'][number],
): void {
  if (!isFailure(kind.replsetMachine, part.status)) return
  refuseCanceled(kind, part.status)
  const reason = part.error ? `: ${part.error}` : ''
  throw new PbmError('REPLSET_FAILED', `replica set ${part.name} is ${part.status}${reason}`)
}

/** Whoever hears of the cancel from the record, and not from the command, ends as canceled, too. */
function refuseCanceled<State extends string>(kind: OperationKind<State>, status: State): void {
  if (status === kind.canceled && status !== kind.failed) throw backupCanceled()
}

function refuseEnded<State extends string>(
  kind: OperationKind<State>,
  name: string,
  operation: OperationRecord<State>,
): void {
  if (!isTerminal(kind.machine, operation.status)) return
  refuseCanceled(kind, operation.status)
  const reason = operation.error ? `: ${operation.error}` : ''
  throw new PbmError('OPERATION_ENDED', `${kind.what} ${name} is ${operation.status}${reason}`)
}

/** A lock that is missing is fine, as in PBM: its replica set has not begun, or has just ended. */
async function refuseLost(leader: MongoClient, opid: string, replsets: readonly string[]): Promise<void> {
  const [locks, now] = await Promise.all([listLocks(leader, { opid }), clusterTime(leader)])
  const dead = locks.find(({ replset, hb }) => replsets.includes(replset) && isStale(hb, now))
  if (dead === undefined) return
  throw new PbmError('REPLSET_LOST', `replica set ${dead.replset} is lost: its agent ${dead.node} gives no heartbeat`)
}

async function poll(wait: Waiting, what: string, done: (lookForDeath: boolean) => Promise<boolean>): Promise<void> {
  const { signal, clock = systemClock, timeoutMs } = wait
  let looked = clock.now()
  const isDone = async () => {
    // Nobody goes on who was stopped.
    signal.throwIfAborted()
    const now = clock.now()
    const lookForDeath = now - looked >= LIVENESS_MS
    if (lookForDeath) looked = now
    return await done(lookForDeath)
  }
  if (await until(isDone, { clock, signal, everyMs: POLL_MS, timeoutMs })) return
  throw new PbmError('CONVERGENCE_TIMEOUT', `waited ${Math.round((timeoutMs ?? 0) / 1000)} s in vain for ${what}`, {
    hint: 'See pbm status for agents that are missing, and pbm logs',
  })
}
