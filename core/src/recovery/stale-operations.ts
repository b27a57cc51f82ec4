import type { MongoClient, Timestamp } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { findBackup, listBackups, setBackupStatus } from '../control/backups.js'
import { type LockDocument, listLocks, removeLock } from '../control/locks.js'
import { listRestores, setRestoreStatus } from '../control/restores.js'
import { BACKUP_STATES, isTerminal, RESTORE_STATES } from '../control/state-machine.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import { clusterTime, isStale, secondsOf } from '../mongo/cluster-time.js'
import { failOperation } from '../protocol/fail-operation.js'
import { type Clock, systemClock } from '../time/clock.js'
import { type OperationsSnapshot, type Repair, Repairs } from './repair-runner.js'

export type StaleAction =
  | { kind: 'backup'; name: string; hb: Timestamp; reason: string }
  | { kind: 'restore'; name: string; hb: Timestamp; reason: string }
  | { kind: 'lock'; lock: LockDocument; reason: string }

/**
 * What has died: operations whose heartbeat is stale or whose replica set lost its agent, and the locks of dead holders.
 * Pure. Operations come before locks, so that the failed one is marked before the next may start.
 */
export function findStale({ now, locks, backups, restores }: OperationsSnapshot): StaleAction[] {
  const dead = locks.filter(({ hb }) => isStale(hb, now))
  const deadHolder = (opid: string) => dead.find((lock) => lock.opid === opid)
  const actions: StaleAction[] = []
  for (const backup of backups) {
    if (isTerminal(BACKUP_STATES, backup.status)) continue
    const reason = reasonOf('backup', backup, now, deadHolder(backup.opid))
    if (reason !== undefined) actions.push({ kind: 'backup', name: backup.name, hb: backup.hb, reason })
  }
  for (const restore of restores) {
    // Physical restores live in files on the storage; what stands here of them is a copy that nobody beats for.
    if (restore.type !== 'logical' || isTerminal(RESTORE_STATES, restore.status)) continue
    const reason = reasonOf('restore', restore, now, deadHolder(restore.opid))
    if (reason !== undefined) actions.push({ kind: 'restore', name: restore.name, hb: restore.hb, reason })
  }
  for (const lock of dead) {
    const silent = secondsOf(now) - secondsOf(lock.hb)
    actions.push({ kind: 'lock', lock, reason: `no heartbeat of ${lock.replset}/${lock.node} for ${silent} s` })
  }
  return actions
}

function reasonOf(
  kind: string,
  operation: { hb: Timestamp; status: string },
  now: Timestamp,
  holder: LockDocument | undefined,
): string | undefined {
  if (isStale(operation.hb, now)) {
    const silent = secondsOf(now) - secondsOf(operation.hb)
    return `the ${kind} died in state ${operation.status}: its leader gave no heartbeat for ${silent} s`
  }
  if (holder === undefined) return undefined
  return `the ${kind} died in state ${operation.status}: the agent of ${holder.replset}/${holder.node} gave no heartbeat`
}

export interface StaleWatchOptions {
  leader: MongoClient
  signal: AbortSignal
  log: OperationLog
  /** Whether this agent has the duties of the cluster leader now; nobody else may act. */
  isClusterLeader: () => Promise<boolean>
  /** Deletes the objects of a backup that was just marked failed; rejections are logged. */
  onFailedBackup?: (backup: BackupDocument) => Promise<void>
  /** What else is to be put right, after each look of the cluster leader. */
  repairs?: readonly Repair[]
  clock?: Clock
  everyMs?: number
}

/** Looks for dead operations until the signal aborts. Faults are logged once each and looked past. */
export async function watchStaleOperations(options: StaleWatchOptions): Promise<void> {
  const { signal, log, clock = systemClock, everyMs = 2_000 } = options
  const repairs = new Repairs(options.repairs ?? [], { clock, log })
  let lastFault = ''
  while (!signal.aborted) {
    try {
      if (await options.isClusterLeader()) {
        const snapshot = await takeSnapshot(options.leader)
        await cleanStaleOperations(options, snapshot)
        await repairs.run(snapshot, signal)
      } else repairs.forget()
      lastFault = ''
    } catch (error) {
      const fault = errorText(error)
      if (fault !== lastFault) log.warning(`cannot look for dead operations: ${fault}`)
      lastFault = fault
    }
    await clock.sleep(everyMs, signal).catch(() => undefined)
  }
}

/** One look: marks, cleans and unlocks what has died, and returns what it did. */
export async function cleanStaleOperations(
  options: Pick<StaleWatchOptions, 'leader' | 'log' | 'onFailedBackup'>,
  snapshot?: OperationsSnapshot,
): Promise<StaleAction[]> {
  const { leader, log, onFailedBackup } = options
  const actions = findStale(snapshot ?? (await takeSnapshot(leader)))
  const done: StaleAction[] = []
  for (const action of actions) {
    if (!(await carryOut(leader, action))) continue
    done.push(action)
    if (action.kind === 'lock') {
      const { type, replset } = action.lock
      log.warning(`removed the stale ${type} lock of ${replset}: ${action.reason}`)
      continue
    }
    log.error(`marked ${action.kind} ${action.name} as failed: ${action.reason}`)
    const backup = action.kind === 'backup' ? await findBackup(leader, action.name) : undefined
    if (backup === undefined) continue
    await onFailedBackup?.(backup).catch((error: unknown) =>
      log.error(`cannot delete the objects of failed backup ${action.name}: ${errorText(error)}`),
    )
  }
  return done
}

async function takeSnapshot(leader: MongoClient): Promise<OperationsSnapshot> {
  const [locks, backups, restores] = await Promise.all([
    listLocks(leader),
    listBackups(leader, { status: BACKUP_STATES.order.filter((state) => !isTerminal(BACKUP_STATES, state)) }),
    listRestores(leader, { status: RESTORE_STATES.order.filter((state) => !isTerminal(RESTORE_STATES, state)) }),
  ])
  // Read last, the cluster time can only make a heartbeat look older by the few milliseconds between the reads.
  return { locks, backups, restores, now: await clusterTime(leader) }
}

async function carryOut(leader: MongoClient, action: StaleAction): Promise<boolean> {
  if (action.kind === 'lock') {
    if (!(await removeLock(leader, action.lock))) return false
    await failOperation(leader, action.lock, action.reason)
    return true
  }
  const options = { error: action.reason, by: 'watch' as const, ifHeartbeat: action.hb }
  const marked =
    action.kind === 'backup'
      ? await setBackupStatus(leader, action.name, 'error', options)
      : await setRestoreStatus(leader, action.name, 'error', options)
  return marked.changed
}
