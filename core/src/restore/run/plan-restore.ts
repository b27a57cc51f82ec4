import type { MongoClient } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import type { RestorePlan } from '../../control/restore-plan.js'
import { wasInterrupted } from '../../control/restores.js'
import { stagingDatabase } from '../../control/staging-name.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { usersInUse } from '../data/kept-users.js'
import { describeRestore } from './describe-restore.js'
import { prepareReplset } from './prepare.js'
import { findSources, type SourcesContext } from './sources.js'

export interface PlanContext extends SourcesContext {
  /** Direct connection to the primary. */
  readonly node: MongoClient
  readonly progress: ProgressPublisher
}

/**
 * What a restore would do, by its own preparations: the lists of the backup and all of its oplog are read, and all is
 * refused that the restore would refuse before its first change, but for damaged documents. Nothing is changed. On replica
 * sets only.
 */
export async function planRestore(command: RestoreCommand, context: PlanContext): Promise<RestorePlan> {
  const { leader, self, info, node: client, progress, signal } = context
  if (info.isSharded) {
    throw new PbmError('RESTORE_UNSUPPORTED', 'What a restore would do can be told of replica sets only as yet', {
      hint: 'Leave --dry-run out; pbm describe-backup tells what a backup has.',
    })
  }
  const log = new WarningsKept(context.log)
  const sources = await findSources(command, { ...context, log })
  const { backup, wanted, part, pointInTime, compression, tuning, stored: store } = sources
  if (part === undefined) throw new PbmError('RESTORE_UNSUPPORTED', `${backup.name} has nothing for ${self.rs}`)
  const restore = {
    ...{ client, store, backup, wanted, part, pointInTime, compression, tuning, log, progress, isDryRun: true },
    staging: stagingDatabase('0'.repeat(24)),
    guard: deadlineGuard(signal),
    usersInUse: await usersInUse(leader, info, command.sender),
    afterInterrupted: await wasInterrupted(leader, command.name),
  }
  const prepared = await prepareReplset(restore)
  return { ...(await describeRestore(restore, prepared)), warnings: log.warnings }
}

/** Keeps what the restore would warn of. */
class WarningsKept implements OperationLog {
  readonly warnings: string[] = []
  readonly #log: OperationLog

  constructor(log: OperationLog) {
    this.#log = log
  }

  debug(message: string): void {
    this.#log.debug(message)
  }

  info(message: string): void {
    this.#log.debug(message)
  }

  warning(message: string): void {
    this.warnings.push(message)
  }

  error(message: string): void {
    this.#log.error(message)
  }
}
