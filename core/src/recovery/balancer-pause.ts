import type { MongoClient } from 'mongodb'
import { findBackup, listBackupsWithoutBalancer, setBackupFields } from '../control/backups.js'
import { listLiveLocks } from '../control/locks.js'
import { BACKUP_STATES, isTerminal } from '../control/state-machine.js'
import type { OperationLog } from '../log.js'
import { type StopBalancerOptions, startBalancer, stopBalancer } from '../mongo/balancer.js'

/**
 * Stops the balancer for a backup whose record says that it was on. That it has to be started again is written down first:
 * whoever is alive when the backup has ended finds it there.
 */
export async function pauseBalancer(leader: MongoClient, backup: string, options: StopBalancerOptions): Promise<void> {
  const record = await findBackup(leader, backup)
  if (record?.balancer !== 'full') return
  await setBackupFields(leader, backup, { balancer_stopped: true })
  options.log.debug('stopping the balancer')
  await stopBalancer(leader, options)
  options.log.info('the balancer is off until the backup ends')
}

/** Starts the balancer again after a backup that stopped it. */
export async function resumeBalancer(leader: MongoClient, backup: string, log: OperationLog): Promise<void> {
  await startBalancer(leader)
  await setBackupFields(leader, backup, { balancer_stopped: false })
  log.info('the balancer is on again')
}

/**
 * Starts the balancer again where a backup has ended without doing so, because its agents died. Does nothing while a
 * restore is under way, which needs it off.
 */
export async function repairBalancer(leader: MongoClient, log: OperationLog): Promise<void> {
  const found = await listBackupsWithoutBalancer(leader)
  const ended = found.filter(({ status }) => isTerminal(BACKUP_STATES, status))
  if (ended.length === 0) return
  if ((await listLiveLocks(leader)).some(({ type }) => type === 'restore' || type === 'backup')) return
  for (const { name } of ended) {
    log.warning(`backup ${name} ended and left the balancer off`)
    await resumeBalancer(leader, name, log)
  }
}
