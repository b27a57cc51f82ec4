import { findRestoreByOpid, type NodeInfo, nodeInfo, PbmError } from '@pbmkit/core'
import { leadsCluster } from '../leadership.js'
import type { OperationContext } from './context.js'
import { comesIntoOffice } from './succession.js'

/** Runs `work` beside the primary of each replica set. Where a restore or replay finds none, one agent says so, by failing. */
export async function onPrimary(context: OperationContext, work: () => Promise<unknown>): Promise<void> {
  const { command, opid, leader, info, node, signal } = context
  const office = {
    holds: async (now: NodeInfo) => now.isPrimary,
    isTakenUp: async () => (await findRestoreByOpid(leader, opid)) !== undefined,
  }
  if (info.isPrimary || (await comesIntoOffice(context, office))) {
    await work()
    return
  }
  if (signal.aborted || (await office.isTakenUp())) return
  const now = await nodeInfo(node)
  if (!(await leadsCluster(context, now))) return
  throw new PbmError(
    'NO_AGENTS',
    `no agent took the ${command.cmd}: there is none beside the primary ${now.primary ?? ''}`,
    {
      hint: 'Start pbm-agent beside it; pbm status shows the agents',
    },
  )
}
