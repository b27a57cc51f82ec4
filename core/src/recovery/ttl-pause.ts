import type { MongoClient } from 'mongodb'
import { findRestore, listRestoresWithoutTtl, setRestoreReplsetFields } from '../control/restores.js'
import { isTerminal, RESTORE_STATES } from '../control/state-machine.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { Member } from '../mongo/topology.js'

export interface TtlPause {
  /** Direct connection to the primary. */
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly self: Member
  readonly log: OperationLog
}

/**
 * Runs `work` while the primary deletes no expired documents: what is replayed onto its data may be about to change them.
 * The record says first that it is off, so that the agent beside it finds that when it was killed meanwhile; a server that
 * was restarted has it on by itself.
 */
export async function withoutTtlMonitor<T>(pause: TtlPause, name: string, work: () => Promise<T>): Promise<T> {
  const { node, leader, self, log } = pause
  // What an earlier one could not switch on must not be taken for the choice of an operator.
  await repairTtlMonitor(pause)
  if (!(await isOn(node))) return await work()
  await setRestoreReplsetFields(leader, name, self.rs, { ttl_monitor_off: true })
  try {
    await switchTo(node, false)
    return await work()
  } finally {
    await resume(pause, name).catch((error: unknown) =>
      log.warning(`the TTL monitor of ${self.node} is not on again yet: ${errorText(error)}`),
    )
  }
}

/**
 * Switches it on again where an operation on this node has ended without doing so. True while one is still under way, that
 * of a killed agent for as long as nobody has marked it as failed.
 */
export async function repairTtlMonitor(pause: TtlPause): Promise<boolean> {
  const { leader, self } = pause
  let isWaiting = false
  for (const { name } of await listRestoresWithoutTtl(leader, self.node)) {
    const restore = await findRestore(leader, name)
    if (restore !== undefined && !isTerminal(RESTORE_STATES, restore.status)) isWaiting = true
    else await resume(pause, name)
  }
  return isWaiting
}

async function resume({ node, leader, self, log }: TtlPause, name: string): Promise<void> {
  await switchTo(node, true)
  await setRestoreReplsetFields(leader, name, self.rs, { ttl_monitor_off: false })
  log.debug(`the TTL monitor of ${self.node} is on again`)
}

async function isOn(node: MongoClient): Promise<boolean> {
  const { ttlMonitorEnabled } = await node.db('admin').command({ getParameter: 1, ttlMonitorEnabled: 1 })
  return ttlMonitorEnabled === true
}

async function switchTo(node: MongoClient, ttlMonitorEnabled: boolean): Promise<void> {
  await node.db('admin').command({ setParameter: 1, ttlMonitorEnabled })
}
