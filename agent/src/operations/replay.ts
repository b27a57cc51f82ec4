import { OplogReplay } from '@pbmkit/core'
import { type OperationContext, withContainer, withStore } from './context.js'

/** The primary of each replica set does the work. */
export async function runReplay(context: OperationContext): Promise<void> {
  const { command, info, signal } = context
  if (command.cmd !== 'replay' || !info.isPrimary) return
  await withStore(context, (store) =>
    withContainer(context, { store }, (container) => container.resolve(OplogReplay).run(command, { signal })),
  )
}
