import { Restore } from '@pbmkit/core'
import { type OperationContext, withContainer, withStore } from './context.js'
import { onPrimary } from './primary-only.js'

export async function runRestore(context: OperationContext): Promise<void> {
  const { command, signal } = context
  if (command.cmd !== 'restore') return
  await onPrimary(context, () =>
    withStore(context, (store) =>
      withContainer(context, { store }, (container) => container.resolve(Restore).run(command, { signal })),
    ),
  )
}
