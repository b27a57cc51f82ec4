import { OplogReplay } from '@pbmkit/core'
import { type OperationContext, withContainer, withStore } from './context.js'
import { onPrimary } from './primary-only.js'

export async function runReplay(context: OperationContext): Promise<void> {
  const { command, signal } = context
  if (command.cmd !== 'replay') return
  await onPrimary(context, () =>
    withStore(context, (store) =>
      withContainer(context, { store }, (container) => container.resolve(OplogReplay).run(command, { signal })),
    ),
  )
}
