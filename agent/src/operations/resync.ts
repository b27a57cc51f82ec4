import {
  errorText,
  forgetBackups,
  forgetIdentity,
  listAgents,
  listProfiles,
  PbmError,
  type Profile,
  requireKnownStorage,
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
  const { command, opid, leader, host, log } = context
  const asked = command.cmd === 'resync' ? command.resync : undefined
  const ofMain = asked?.all !== true && (asked?.name ?? '') === ''
  if (ofMain) context.answerWithStorage(context.config, opid, { writes: false }).catch(() => undefined)
  const work = async (signal: AbortSignal, held: OperationContext) => {
    if (asked?.all === true) await syncAll(held, await listProfiles(leader), asked.clear === true, signal)
    else if (asked?.name !== undefined && asked.name !== '')
      await sync(held, await requireProfile(leader, asked.name), asked.clear === true, signal)
    else {
      const { clock, config } = held
      const { storage } = config
      await requireOneStorage({ leader, opid, epoch: config.epoch, clock, signal })
      await withStore(
        held,
        async (store) => {
          // Nobody has asked for another storage than the one that was used.
          if (asked?.unasked === true) await requireKnownStorage(store, { leader, host, storage }, { signal })
          const includeRestores = asked?.includeRestores === true
          await resync({ leader, host, store, storage, log, signal, ciphers: ciphersOf(held), includeRestores })
        },
        storage,
        asked?.unasked === true ? {} : REPLACED,
      )
    }
    await resetEpoch(leader)
    log.info('succeed')
  }
  await onOneLeaderMember(context, 'resync', work, async ({ node }) => {
    // PBM's agents remember nothing: what is seen next is what somebody has asked for.
    const isOfPbm = (await listAgents(leader)).some(({ n, plugins }) => n === node && plugins === undefined)
    if (ofMain && isOfPbm) await forgetIdentity(leader)
  })
}

async function sync(context: OperationContext, { name, storage }: Profile, clear: boolean, signal: AbortSignal) {
  const { leader, host, log } = context
  if (clear) {
    await forgetBackups(leader, name)
    log.info(`forgot the backups of profile ${name}`)
    return
  }
  log.info(`reading the backups of profile ${name}`)
  await withStore(
    context,
    (store) => resync({ leader, host, store, storage, profile: name, log, signal, ciphers: ciphersOf(context) }),
    storage,
    REPLACED,
  )
}

/** Somebody has asked: what is there now counts, a folder that is gone too. */
const REPLACED = { mustExist: false }

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
