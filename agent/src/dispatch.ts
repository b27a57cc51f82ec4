import type { CommandDocument } from '@pbmkit/core'
import { runBackup } from './operations/backup.js'
import type { OperationContext } from './operations/context.js'
import { runDelete } from './operations/delete.js'
import { runDrill } from './operations/drill.js'
import { runPlanRestore } from './operations/plan-restore.js'
import { runProfile } from './operations/profile.js'
import { runReplay } from './operations/replay.js'
import { runRestore } from './operations/restore.js'
import { runResync } from './operations/resync.js'
import { runRotateKeys } from './operations/rotate-keys.js'
import { runVerify } from './operations/verify.js'

export interface Dispatched {
  readonly kind: string
  /** For messages. */
  readonly name: string
  /** What the log calls the object: the name of the backup or restore, or ''. */
  readonly object: string
  readonly work: (context: OperationContext) => Promise<void>
}

/** Which code answers a command (PBM: control-plane.md §2). Each decides itself whether this node takes part. */
export function dispatch(command: CommandDocument): Dispatched {
  switch (command.cmd) {
    case 'backup':
      return named(command.cmd, command.backup.name, runBackup)
    case 'restore':
    case 'restorePart':
      return named('restore', command.restore.name, runRestore)
    case 'resync':
      return named(command.cmd, '', runResync)
    case 'delete':
      return named(command.cmd, command.delete.backup, runDelete)
    case 'deletePitr':
    case 'cleanup':
      return named(command.cmd, '', runDelete)
    case 'replay':
      return named(command.cmd, command.replay.name, runReplay)
    case 'addConfigProfile':
    case 'removeConfigProfile':
      return named(command.cmd, command.profile.name, runProfile)
    case 'rotateKeys':
      return named(command.cmd, '', runRotateKeys)
    case 'planRestore':
      return named(command.cmd, command.restore.name, runPlanRestore)
    case 'verify':
      return named(command.cmd, command.verify.backup ?? '', runVerify)
    case 'drill':
      return named(command.cmd, command.drill.backup, runDrill)
    case 'cancelBeside':
    case 'cancelBackup':
      return named(command.cmd, '', async () => undefined)
  }
}

function named(kind: string, object: string, work: Dispatched['work']): Dispatched {
  return { kind, object, name: object === '' ? kind : `${kind} ${object}`, work }
}
