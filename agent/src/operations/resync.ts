import {
  errorText,
  forgetBackups,
  listProfiles,
  PbmError,
  type Profile,
  requireOneStorage,
  requireProfile,
  resetEpoch,
  resync,
} from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'

/**
 * Reads the main storage anew, or those of profiles. The line `succeed`, and any error before it, is what a waiting CLI
 * looks for, PBM's too.
 */
export async function runResync(context: OperationContext): Promise<void> {
  const { command, opid, leader, log } = context
  const asked = command.cmd === 'resync' ? command.resync : undefined
  const ofMain = asked?.all !== true && (asked?.name ?? '') === ''
  if (ofMain) context.answerWithStorage(context.config, opid, { writes: false }).catch(() => undefined)
  await onOneLeaderMember(context, 'resync', async (signal, held) => {
    if (asked?.all === true) await syncAll(held, await listProfiles(leader), asked.clear === true, signal)
    else if (asked?.name !== undefined && asked.name !== '')
      await sync(held, await requireProfile(leader, asked.name), asked.clear === true, signal)
    else {
      const { clock, config } = held
      await requireOneStorage({ leader, opid, epoch: config.epoch, clock, signal })
      await withStore(held, (store) =>
        resync({
          ...{ leader, store, host: held.host, storage: held.config.storage, log, signal },
          ciphers: ciphersOf(held),
        }),
      )
    }
    await resetEpoch(leader)
    log.info('succeed')
  })
}

async function sync(context: OperationContext, { name, storage }: Profile, clear: boolean, signal: AbortSignal) {
  const { leader, log } = context
  if (clear) {
    await forgetBackups(leader, name)
    log.info(`forgot the backups of profile ${name}`)
    return
  }
  log.info(`reading the backups of profile ${name}`)
  await withStore(
    context,
    (store) =>
      resync({
        ...{ leader, store, host: context.host, storage, profile: name, log, signal },
        ciphers: ciphersOf(context),
      }),
    storage,
  )
}

/** One that can't be read must not keep the others from being read. */
async function syncAll(context: OperationContext, profiles: readonly Profile[], clear: boolean, signal: AbortSignal) {
  const faults: string[] = []
  for (const profile of profiles) {
    try {
      await sync(context, profile, clear, signal)
    } catch (error) {
      signal.throwIfAborted()
      faults.push(`${profile.name}: ${errorText(error)}`)
    }
  }
  if (faults.length > 0) throw new PbmError('PROFILES_UNREAD', `profiles that can't be read: ${faults.join('; ')}`)
}
