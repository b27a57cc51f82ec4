import type { MongoClient } from 'mongodb'
import { listBackupsWithoutBalancer, setBackupFields } from '../control/backups.js'
import { readConfig } from '../control/config.js'
import { listLiveLocks, listSlicerLocks } from '../control/locks.js'
import { findPitr } from '../control/pitr.js'
import { resumePitr, suspendPitr } from '../control/pitr-suspension.js'
import type { RestoreDocument } from '../control/restore-document.js'
import { findRestore, hasChangedData, listSuspendingRestores, setRestoreFields } from '../control/restores.js'
import { BACKUP_STATES, isTerminal, RESTORE_STATES } from '../control/state-machine.js'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { balancerStatus, startBalancer, stopBalancer } from '../mongo/balancer.js'
import { clusterTime, isStale } from '../mongo/cluster-time.js'
import type { Clock } from '../time/clock.js'
import { until } from '../time/until.js'

const SLICER_WAIT_MS = 120_000
const SLICER_POLL_MS = 200

export interface Suspending {
  readonly leader: MongoClient
  /** Of the restore. */
  readonly name: string
  readonly isSharded: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: OperationLog
  /** Told what the record says from now on: a record that somebody drops can be put back with it. */
  readonly onSuspended?: (suspended: Suspended) => void
}

export type Suspended = NonNullable<RestoreDocument['suspended']>

/**
 * The cluster leader's, at the last moment before data is changed: point-in-time recovery and the balancer are switched
 * off, and nobody stores the oplog any more. The record of the restore says first what was on: whoever is alive when it
 * ends with nothing changed finds it there. Rejects with SLICER_RUNS.
 */
export async function suspendOthers(suspending: Suspending): Promise<void> {
  const { leader, name, isSharded, signal, clock, log } = suspending
  const config = await readConfig(leader)
  const left = await leftOff(leader, name)
  const isSlicing = config?.pitr?.enabled === true
  const isBalancing = isSharded && (await balancerStatus(leader)).mode === 'full'
  const pitr = isSlicing || left.restores.some(({ suspended }) => suspended?.includes('pitr'))
  const balancer =
    isBalancing || left.backups.length > 0 || left.restores.some(({ suspended }) => suspended?.includes('balancer'))
  const suspended: Suspended = [...(pitr ? ['pitr' as const] : []), ...(balancer ? ['balancer' as const] : [])]
  const isNoted = await setRestoreFields(leader, name, { suspended })
  // What nobody knows to be off would stay off.
  if (!isNoted) throw gone(name)
  suspending.onSuspended?.(suspended)
  signal.throwIfAborted()
  // From here on it is this restore's to say.
  for (const restore of left.restores) await setRestoreFields(leader, restore.name, { suspended: [] })
  for (const backup of left.backups) await setBackupFields(leader, backup.name, { balancer_stopped: false })
  if (isSlicing) await suspendPitr(leader)
  if (pitr) {
    log.warning(
      'point-in-time recovery was on and is off now: make a full backup when the restore is done, then it goes on by itself',
    )
  }
  if (isBalancing) {
    await stopBalancer(leader, { signal, clock, log, timeoutSeconds: config?.restore?.timeouts?.balancerStop })
  }
  if (balancer) {
    log.warning('the balancer was on and is off now: start it when the restore is done and every mongos was restarted')
  }
  await awaitSlicersGone(suspending)
}

/**
 * The same of the balancer alone, for a restore of a part: it is on again when that ends, however it ends. Else chunks
 * would be moved before all shards know them.
 */
export async function suspendBalancer(suspending: Suspending): Promise<void> {
  const { leader, name, signal, clock, log, onSuspended } = suspending
  const left = await leftOff(leader, name)
  const isBalancing = (await balancerStatus(leader)).mode === 'full'
  const leaving = left.restores.filter(({ suspended }) => suspended?.includes('balancer'))
  if (!isBalancing && leaving.length === 0 && left.backups.length === 0) return
  if (!(await setRestoreFields(leader, name, { suspended: ['balancer'] }))) throw gone(name)
  onSuspended?.(['balancer'])
  signal.throwIfAborted()
  for (const { name: other, suspended = [] } of leaving) {
    await setRestoreFields(leader, other, { suspended: suspended.filter((one) => one !== 'balancer') })
  }
  for (const backup of left.backups) await setBackupFields(leader, backup.name, { balancer_stopped: false })
  if (!isBalancing) return
  const timeoutSeconds = (await readConfig(leader))?.restore?.timeouts?.balancerStop
  await stopBalancer(leader, { signal, clock, log, timeoutSeconds })
  log.info('the balancer is off until the restore ends')
}

/** After a restore of a part that succeeded, with its lock still held. */
export async function resumeBalancerAfter(leader: MongoClient, name: string, log: OperationLog): Promise<void> {
  if ((await findRestore(leader, name))?.suspended?.includes('balancer') !== true) return
  await startBalancer(leader)
  await setRestoreFields(leader, name, { suspended: [] })
  log.info('the balancer is on again')
}

/** After a restore that failed: see {@link repairSuspended}, for this one alone, whose lock is still held. */
export async function resumeAfterRestore(leader: MongoClient, name: string, log: OperationLog): Promise<void> {
  const restore = await findRestore(leader, name)
  if (restore !== undefined && isTerminal(RESTORE_STATES, restore.status)) await resumeFor(leader, restore, log)
}

/**
 * Switches on again what restores left off that ended with nothing changed, because their agents died. After a restore
 * of everything that changed data it stays off: that is for people to decide. Does nothing while a backup or restore is under way.
 */
export async function repairSuspended(leader: MongoClient, log: OperationLog): Promise<void> {
  const ended = (await listSuspendingRestores(leader)).filter(({ status }) => isTerminal(RESTORE_STATES, status))
  if (ended.length === 0) return
  if ((await listLiveLocks(leader)).some(({ type }) => type === 'restore' || type === 'backup')) return
  for (const restore of ended) await resumeFor(leader, restore, log)
}

async function resumeFor(leader: MongoClient, restore: RestoreDocument, log: OperationLog): Promise<void> {
  const { name, suspended = [] } = restore
  if (suspended.length === 0) return
  if (isToResume(restore)) {
    if (suspended.includes('pitr') && (await isLeftOff(leader))) {
      await resumePitr(leader)
      log.info('nothing was restored: point-in-time recovery is on again')
    }
    if (suspended.includes('balancer')) {
      await startBalancer(leader)
      // Loud, since somebody may have wanted it off meanwhile: of that the server keeps no trace.
      log.warning(`restore ${name} has ended and had stopped the balancer: it is on again`)
    }
  }
  await setRestoreFields(leader, name, { suspended: [] })
}

/** After others it is for people to decide: routing may be incomplete, or of another time. */
function isToResume(restore: RestoreDocument): boolean {
  return restore.selection !== undefined || !hasChangedData(restore)
}

/**
 * Whoever has switched point-in-time recovery on or off since then has decided: the note in its document went with that.
 * Where the whole document is gone, somebody dropped the control collections; with the configuration, nothing is left to be on.
 */
async function isLeftOff(leader: MongoClient): Promise<boolean> {
  const [pitr, config] = await Promise.all([findPitr(leader), readConfig(leader)])
  return config !== undefined && (pitr === undefined || pitr.resume === true)
}

/** What operations have switched off that have ended since, and nobody has switched on yet. */
async function leftOff(leader: MongoClient, name: string) {
  const [restores, backups] = await Promise.all([listSuspendingRestores(leader), listBackupsWithoutBalancer(leader)])
  return {
    restores: restores.filter((other) => other.name !== name && isToResume(other)),
    backups: backups.filter(({ status }) => isTerminal(BACKUP_STATES, status)),
  }
}

function gone(name: string): PbmError {
  return new PbmError('OPERATION_GONE', `the record of restore ${name} is gone`)
}

/** A slicer that still runs would store what the restore does. It stops by itself once it sees the new epoch. */
export async function awaitSlicersGone({ leader, signal, clock }: Suspending, replset?: string): Promise<void> {
  let last = ''
  const areGone = async () => {
    const now = await clusterTime(leader)
    const locks = await listSlicerLocks(leader, replset === undefined ? {} : { replset })
    const live = locks.find(({ hb }) => !isStale(hb, now))
    if (live !== undefined) last = `The oplog of ${live.replset} is still being stored by ${live.node}`
    return live === undefined
  }
  const patience = { everyMs: SLICER_POLL_MS, timeoutMs: SLICER_WAIT_MS }
  if (await until(areGone, { clock, signal, ...patience })) return
  throw new PbmError('SLICER_RUNS', last, {
    hint: 'Turn point-in-time recovery off and see that the agent there is alive, then restore again.',
  })
}
