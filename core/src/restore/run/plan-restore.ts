import type { MongoClient } from 'mongodb'
import type { RestoreCommand } from '../../control/command-document.js'
import type { RestorePlan } from '../../control/restore-plan.js'
import { unfinishedInPlace, wasInterrupted } from '../../control/restores.js'
import { stagingDatabase } from '../../control/staging-name.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import type { ScratchSettings } from '../../mongo/scratch-settings.js'
import type { ProgressPublisher } from '../../protocol/progress.js'
import type { Clock } from '../../time/clock.js'
import { type DeadlineGuard, deadlineGuard } from '../../time/deadline-guard.js'
import { usersInUse } from '../data/kept-users.js'
import type { OpenedFiles } from '../physical/opened-files.js'
import { notesBoard } from '../sharding/await-parts.js'
import { shardingOf } from '../sharding/sharded-selection.js'
import type { Sharding } from '../sharding/sharding.js'
import { describeDrops, describeRestore } from './describe-restore.js'
import { withFilesOf } from './open-sources.js'
import { prepareReplset } from './prepare.js'
import { findSources, type Sources, type SourcesContext } from './sources.js'

export interface PlanContext extends SourcesContext {
  /** Of the command. */
  readonly opid: string
  readonly clock: Clock
  /** Direct connection to the primary. */
  readonly node: MongoClient
  readonly progress: ProgressPublisher
  /** See {@link withFilesOf}. */
  readonly scratch: ScratchSettings
}

/**
 * What a restore would do to one replica set, by its own preparations: the lists of the backup and all of its oplog are read,
 * and all is refused that the restore would refuse before its first change, but for damaged documents. Nothing is changed; in a
 * sharded cluster the config servers put the routing tables together aside meanwhile, and all replica sets look at once.
 */
export async function planRestore(command: RestoreCommand, context: PlanContext): Promise<RestorePlan> {
  const { leader, self, info, node: client, clock, signal, opid } = context
  const log = new WarningsKept(context.log)
  const sources = await findSources(command, { ...context, log })
  const { backup, wanted, rsMap, cluster, compression, stored: store } = sources
  const guard = deadlineGuard(signal)
  const replsets = cluster.map(({ rs }) => rs)
  const board = notesBoard({ leader, replsets, clock, signal }, self.rs, opid)
  const options = { client, leader, self, info, cluster, name: command.name, backup, rsMap, compression, store, clock }
  const sharding = info.isSharded ? shardingOf({ ...options, log, guard }, wanted, board) : undefined
  try {
    const plan = await withFilesOf(sources, { ...context, log }, (files) =>
      planOwn(command, { ...context, log }, { sources, sharding, guard, files }),
    )
    return { ...plan, warnings: log.warnings }
  } finally {
    await sharding?.discard()
  }
}

interface Planning {
  readonly sources: Sources
  readonly sharding: Sharding | undefined
  readonly guard: DeadlineGuard
  readonly files: OpenedFiles | undefined
}

async function planOwn(
  command: RestoreCommand,
  { leader, self, info, node: client, progress, log }: PlanContext,
  { sources, sharding, guard, files }: Planning,
): Promise<Omit<RestorePlan, 'warnings'>> {
  const { backup, wanted, part, pointInTime, compression, tuning, stored: store } = sources
  if (part === undefined && sharding === undefined)
    throw new PbmError('RESTORE_UNSUPPORTED', `${backup.name} has nothing for ${self.rs}`)
  if (part === undefined) {
    await sharding?.prepare(undefined)
    return await describeDrops(client, sharding)
  }
  const restore = {
    ...{ client, store, backup, wanted, part, pointInTime, compression, tuning, log, progress, isDryRun: true },
    ...{ sharding, guard, files },
    staging: stagingDatabase('0'.repeat(24)),
    usersInUse: await usersInUse(leader, info, command.sender),
    afterInterrupted: await wasInterrupted(leader, command.name),
    unfinished: await unfinishedInPlace(leader),
  }
  const prepared = await prepareReplset(restore)
  return await describeRestore(restore, prepared)
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
