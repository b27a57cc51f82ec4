import { findBackup, isRestore, Restore, type StorageConfig, storageOfBackup } from '@pbmkit/core'
import { type OperationContext, withContainer } from './context.js'
import { onPrimary } from './primary-only.js'

export async function runRestore(context: OperationContext): Promise<void> {
  const { command, signal } = context
  if (!isRestore(command)) return
  const storage = () => storageOf(context, command.restore.backupName)
  await onPrimary(context, () =>
    withContainer(context, { storage }, (container) => container.resolve(Restore).run(command, { signal })),
  )
}

/** A backup that is not in the list is looked for on the main storage. */
export async function storageOf({ leader, config }: OperationContext, backupName: string): Promise<StorageConfig> {
  const backup = await findBackup(leader, backupName)
  return backup === undefined ? config.storage : await storageOfBackup(leader, backup)
}
