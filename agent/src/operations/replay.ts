import { OplogReplay } from '@pbmkit/core'
import { type OperationContext, withContainer } from './context.js'
import { onPrimary } from './primary-only.js'

export async function runReplay(context: OperationContext): Promise<void> {
  const { command, signal } = context
  if (command.cmd !== 'replay') return
  const storage = async () => context.config.storage
  await onPrimary(context, () =>
    withContainer(context, { storage }, (container) => container.resolve(OplogReplay).run(command, { signal })),
  )
}
