import { resetEpoch, resync } from '@pbmkit/core'
import { type OperationContext, withStore } from './context.js'
import { onOneLeaderMember } from './lead-only.js'

/** Reads the storage anew. The line `succeed`, and any error before it, is what a waiting CLI looks for, PBM's too. */
export async function runResync(context: OperationContext): Promise<void> {
  const { command, leader, config, log } = context
  const profile = command.cmd === 'resync' ? command.resync : undefined
  if (profile?.name !== undefined && profile.name !== '' ? true : profile?.all === true) {
    if (context.leads) {
      log.error('configuration profiles are not supported by this version: only the main storage can be read')
    }
    return
  }
  await onOneLeaderMember(context, 'resync', async (signal) => {
    await withStore(context, (store) => resync({ leader, store, storage: config.storage, log, signal }))
    await resetEpoch(leader)
    log.info('succeed')
  })
}
