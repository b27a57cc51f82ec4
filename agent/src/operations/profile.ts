import {
  acceptStorage,
  ensureInitObject,
  forgetBackups,
  forgetIdentity,
  PbmError,
  removeProfile,
  requireProfile,
  type StorageConfig,
  saveProfile,
} from '@pbmkit/core'
import { withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneLeaderMember } from './lead-only.js'
import { refuseProfileName } from './profile-name.js'

/** `addConfigProfile` and `removeConfigProfile`. */
export async function runProfile(context: OperationContext): Promise<void> {
  const { command, leader, host, log } = context
  if (command.cmd !== 'addConfigProfile' && command.cmd !== 'removeConfigProfile') return
  const { name } = command.profile
  await onOneLeaderMember(context, command.cmd, async (signal, held) => {
    if (name === '') throw new PbmError('COMMAND_INVALID', 'the command names no profile')
    if (command.cmd === 'addConfigProfile') {
      refuseProfileName(name)
      const storage = command.profile.storage as StorageConfig
      // A storage that can't be reached or written is no use: better known now than by the first backup.
      await withStore(
        held,
        async (store) => {
          await ensureInitObject(store, { signal })
          await acceptStorage(store, { leader, host, storage, profile: name }, { signal })
        },
        storage,
        { mustExist: false },
      )
      await saveProfile(leader, { name, storage, lifecycle: command.profile.lifecycle }, host)
      log.info('profile saved')
      return
    }
    await requireProfile(leader, name)
    await forgetBackups(leader, name)
    await removeProfile(leader, name)
    await forgetIdentity(leader, name)
    log.info('profile removed')
  })
}
