import { nodeInfo, notePlan, ProgressPublisher, planRestore } from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'
import { storageOf } from './restore.js'

/** Beside the primary, which knows best what the target has. */
export async function runPlanRestore(context: OperationContext): Promise<void> {
  const { command, info } = context
  if (command.cmd !== 'planRestore' || !info.isPrimary) return
  const { restore } = command
  await onOneLeaderMember(context, 'planRestore', async (signal, held) => {
    const { leader, node, self, host, clock, log, opid } = held
    const about = { opid, replset: self.rs }
    const progress = new ProgressPublisher(clock, (progress) => notePlan(leader, about, { progress }))
    const plan = await withStore(
      { ...held, signal },
      async (store) => {
        const ciphers = ciphersOf(held)
        const now = await nodeInfo(node)
        return await planRestore(restore, {
          leader,
          node,
          self,
          info: now,
          log,
          host,
          ciphers,
          store,
          signal,
          progress,
        })
      },
      await storageOf(held, restore.backupName),
    )
    await progress.settle()
    await notePlan(leader, about, { plan })
  })
}
