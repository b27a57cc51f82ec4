import { deleteBackup, deleteBackupsBefore, deleteOld, PbmError } from '@pbmkit/core'
import { type OperationContext, withStore } from './context.js'
import { onOneLeaderMember } from './lead-only.js'

/** `delete`, `deletePitr` and `cleanup`. */
export async function runDelete(context: OperationContext): Promise<void> {
  const { command, leader, log } = context
  if (command.cmd !== 'delete' && command.cmd !== 'deletePitr' && command.cmd !== 'cleanup') return
  await onOneLeaderMember(context, command.cmd, async (signal) => {
    const profile =
      command.cmd === 'delete' ? command.delete.profile : command.cmd === 'cleanup' ? command.cleanup.profile : ''
    if (profile !== undefined && profile !== '' && profile !== 'main') {
      throw new PbmError('NOT_SUPPORTED', `configuration profiles are not supported by this version: ${profile}`)
    }
    await withStore(context, async (store) => {
      const target = { leader, store, log, signal }
      switch (command.cmd) {
        case 'delete': {
          const { backup, olderthan, type } = command.delete
          if (Number(olderthan) > 0) {
            const names = await deleteBackupsBefore(target, Number(olderthan), type)
            log.info(`deleted ${names.length} backups`)
          } else if (backup !== '') await deleteBackup(target, backup)
          else throw new PbmError('COMMAND_INVALID', 'the command names neither a backup nor a time')
          break
        }
        case 'deletePitr': {
          const { chunks } = await deleteOld(target, Number(command.deletePitr.olderthan), { backups: false })
          log.info(`deleted ${chunks} oplog chunks`)
          break
        }
        case 'cleanup': {
          const deleted = await deleteOld(target, command.cleanup.olderThan.t, { backups: true })
          log.info(`deleted ${deleted.backups} backups and ${deleted.chunks} oplog chunks`)
        }
      }
    })
    log.info('done')
  })
}
