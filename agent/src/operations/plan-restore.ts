import {
  errorText,
  nodeInfo,
  notePlan,
  type OpenStore,
  ProgressPublisher,
  planRestore,
  type RestoreCommand,
  type RestorePlan,
} from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneMember } from './lead-only.js'
import { storageOf } from './restore.js'

/** Beside each primary, which knows best what the target has. */
export async function runPlanRestore(context: OperationContext): Promise<void> {
  const { command, info } = context
  if (command.cmd !== 'planRestore' || !info.isPrimary) return
  const { restore } = command
  await onOneMember(context, 'planRestore', async (signal, held) => {
    const { leader, self, opid } = held
    const about = { opid, replset: self.rs }
    try {
      await notePlan(leader, about, { plan: await planned(restore, { ...held, signal }) })
    } catch (error) {
      // For the others, who wait for what this replica set has.
      await notePlan(leader, about, { error: errorText(error) })
      throw error
    }
  })
}

async function planned(restore: RestoreCommand, held: OperationContext): Promise<RestorePlan> {
  const { leader, node, self, host, clock, log, opid, signal, scratch } = held
  const about = { opid, replset: self.rs }
  const progress = new ProgressPublisher(clock, (progress) => notePlan(leader, about, { progress }))
  const storage = await storageOf(held, restore.backupName)
  const work = async (store: OpenStore) => {
    const info = await nodeInfo(node)
    const ciphers = ciphersOf(held)
    const context = {
      leader,
      node,
      self,
      info,
      log,
      host,
      ciphers,
      store,
      signal,
      progress,
      clock,
      opid,
      scratch,
    }
    return await planRestore(restore, context)
  }
  const plan = await withStore(held, work, storage)
  await progress.settle()
  return plan
}
