import { Restore } from '@pbmkit/core'
import { type OperationContext, withContainer, withStore } from './context.js'

/** The primary of each replica set does the work. */
export async function runRestore(context: OperationContext): Promise<void> {
  const { command, info, signal } = context
  if (command.cmd !== 'restore' || !info.isPrimary) return
  await withStore(context, (store) =>
    withContainer(context, { store }, (container) => container.resolve(Restore).run(command, { signal })),
  )
}
