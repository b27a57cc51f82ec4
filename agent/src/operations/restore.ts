import { findRestoreByOpid, type NodeInfo, Restore } from '@pbmkit/core'
import { type OperationContext, withContainer, withStore } from './context.js'
import { comesIntoOffice } from './succession.js'

/** The primary of each replica set does the work. */
export async function runRestore(context: OperationContext): Promise<void> {
  const { command, opid, leader, info, signal } = context
  if (command.cmd !== 'restore') return
  const office = {
    holds: async (now: NodeInfo) => now.isPrimary,
    isTakenUp: async () => (await findRestoreByOpid(leader, opid)) !== undefined,
  }
  if (!info.isPrimary && !(await comesIntoOffice(context, office))) return
  await withStore(context, (store) =>
    withContainer(context, { store }, (container) => container.resolve(Restore).run(command, { signal })),
  )
}
