import type { MongoClient } from 'mongodb'
import { findBackup } from '../control/backups.js'
import { errorText } from '../errors.js'
import type { OperationLog } from '../log.js'
import type { NodeInfo } from '../mongo/topology.js'
import { resumeBalancer } from '../recovery/balancer-pause.js'

/** Where this fails, the agent that watches over dead operations does it. */
export async function startBalancerAgain(
  { leader, log }: { readonly leader: MongoClient; readonly log: OperationLog },
  backup: string,
  { isSharded }: Pick<NodeInfo, 'isSharded'>,
): Promise<void> {
  if (!isSharded) return
  try {
    if ((await findBackup(leader, backup))?.balancer_stopped !== true) return
    await resumeBalancer(leader, backup, log)
  } catch (error) {
    log.error(`the balancer could not be started again: ${errorText(error)}`)
  }
}
