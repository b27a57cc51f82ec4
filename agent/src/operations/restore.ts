import {
  asksForPart,
  type BackupDocument,
  type CommandDocument,
  findAnywhere,
  findBackup,
  isOfFiles,
  isRestore,
  type OpenStore,
  PhysicalRestore,
  Restore,
  type StorageConfig,
  storageOfBackup,
} from '@pbmkit/core'
import { withStore } from '../storages.js'
import { type OperationContext, withContainer } from './context.js'
import { onPrimary } from './primary-only.js'

export async function runRestore(context: OperationContext): Promise<void> {
  const { command, signal } = context
  if (!isRestore(command)) return
  if (command.cmd === 'restore') {
    const { restore } = command
    const isOfFiles = restore.external || (!asksForPart(restore) && (await hasFiles(context, restore.backupName)))
    if (isOfFiles) return await runPhysical(context, command)
  }
  const storage = () => storageOf(context, command.restore.backupName)
  await onPrimary(context, () =>
    withContainer(context, { storage }, (container) => container.resolve(Restore).run(command, { signal })),
  )
}

/** Those of external ones are brought by somebody. */
const hasType = (type: BackupDocument['type']) => isOfFiles(type) || type === 'external'

/** What can't be found is for the restore to say. */
async function hasFiles(context: OperationContext, name: string): Promise<boolean> {
  const { leader, signal } = context
  const listed = await findBackup(leader, name)
  if (listed !== undefined) return hasType(listed.type)
  const stored = withStore(context, (store) => findAnywhere(leader, store, name, signal), context.config.storage)
  const found = await stored.catch(() => undefined)
  return found !== undefined && hasType(found.type)
}

/** On all members, each with its own mongod. */
async function runPhysical(context: OperationContext, command: CommandDocument & { cmd: 'restore' }): Promise<void> {
  const { config, signal, takeOverFile: file, startCommand } = context
  const prepare = (main: OpenStore, backup: OpenStore) =>
    withContainer(context, { storage: async () => config.storage }, (container) =>
      container.resolve(PhysicalRestore).prepare(command, { main, backup, file, startCommand }, signal),
    )
  const planned = await withStore(context, async (main) => {
    const storage = await storageOf(context, command.restore.backupName)
    return await withStore(context, (backup) => prepare(main, backup), storage)
  })
  if (planned !== undefined) context.handOver({ planned })
}

/** A backup that is not in the list is looked for on the main storage. */
export async function storageOf({ leader, config }: OperationContext, backupName: string): Promise<StorageConfig> {
  const backup = await findBackup(leader, backupName)
  return backup === undefined ? config.storage : await storageOfBackup(leader, backup)
}
