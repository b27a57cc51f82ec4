import {
  deleteBackup,
  deleteBackupsBefore,
  deleteByLifecycle,
  deleteOld,
  findBackup,
  isMain,
  type OpenStore,
  PbmError,
  profileOf,
  requireKnownStorage,
  requireStorage,
  requireUsedStorage,
  type StorageConfig,
} from '@pbmkit/core'
import { withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'
import { storageOf } from './restore.js'

/** `delete`, `deletePitr` and `cleanup`. One backup lies where it lies; many are those of a profile, or of the main storage. */
export async function runDelete(context: OperationContext): Promise<void> {
  const { command, opid, leader, host, log } = context
  if (command.cmd !== 'delete' && command.cmd !== 'deletePitr' && command.cmd !== 'cleanup') return
  const ofMain = await concernsMain(context)
  if (ofMain) context.answerWithStorage(context.config, opid, { writes: false }).catch(() => undefined)
  await onOneLeaderMember(context, command.cmd, async (signal, held) => {
    // Elsewhere nothing would be there to delete, and only the record would go.
    if (ofMain) await requireUsedStorage({ leader, opid, epoch: held.config.epoch, clock: held.clock, signal })
    const target = { leader, log, signal }
    // What the agents have told is of a moment ago, and of the main storage only.
    const on = (profile: string | undefined, storage: StorageConfig, work: (store: OpenStore) => Promise<void>) =>
      withStore(
        held,
        async (store) => {
          await requireKnownStorage(store, { leader, host, storage, profile }, { signal })
          await work(store)
        },
        storage,
      )
    switch (command.cmd) {
      case 'delete': {
        const { backup, olderthan, type } = command.delete
        const profile = named(command.delete.profile)
        if (Number(olderthan) > 0) {
          await on(profile, await requireStorage(leader, profile), async (store) => {
            const names = await deleteBackupsBefore({ ...target, store, profile }, Number(olderthan), type)
            log.info(`deleted ${names.length} backups`)
          })
        } else if (backup === '') throw new PbmError('COMMAND_INVALID', 'the command names neither a backup nor a time')
        else {
          const listed = await findBackup(leader, backup)
          const own = listed === undefined ? undefined : profileOf(listed)
          await on(own, await storageOf(held, backup), (store) => deleteBackup({ ...target, store }, backup))
        }
        break
      }
      case 'deletePitr':
        await on(undefined, held.config.storage, async (store) => {
          const { chunks } = await deleteOld({ ...target, store }, Number(command.deletePitr.olderthan), {
            backups: false,
          })
          log.info(`deleted ${chunks} oplog chunks`)
        })
        break
      case 'cleanup': {
        const profile = named(command.cleanup.profile)
        await on(profile, await requireStorage(leader, profile), async (store) => {
          const { lifecycleAt } = command.cleanup
          // Null and absent are one.
          if (lifecycleAt) {
            const names = await deleteByLifecycle({ ...target, store, profile }, lifecycleAt.t)
            log.info(`deleted ${names.length} backups by lifecycle`)
            return
          }
          const deleted = await deleteOld({ ...target, store, profile }, command.cleanup.olderThan.t, { backups: true })
          log.info(`deleted ${deleted.backups} backups and ${deleted.chunks} oplog chunks`)
        })
      }
    }
    log.info('done')
  })
}

async function concernsMain({ command, leader }: OperationContext): Promise<boolean> {
  if (command.cmd === 'cleanup') return isMain(command.cleanup.profile)
  if (command.cmd !== 'delete') return true
  const { backup, olderthan, profile } = command.delete
  return isMain(Number(olderthan) > 0 ? profile : (await findBackup(leader, backup))?.store.name)
}

function named(profile: string | undefined): string | undefined {
  return isMain(profile) ? undefined : profile
}
