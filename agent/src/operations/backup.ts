import {
  BackupLeader,
  BackupNominee,
  type CommandDocument,
  errorText,
  findBackupByOpid,
  isMain,
  type NodeInfo,
  PbmError,
  requireStorage,
} from '@pbmkit/core'
import { leadsCluster } from '../leadership.js'
import { withStore } from '../storages.js'
import { answerMark } from './answer-mark.js'
import { type OperationContext, withContainer } from './context.js'
import { comesIntoOffice } from './succession.js'

/**
 * The agent beside the primary of the leader replica set opens the backup and has its nodes elected; every agent that
 * could do the work waits for its nomination.
 */
export async function runBackup(context: OperationContext): Promise<void> {
  const { command, opid, leader, info, leads, host, signal, log } = context
  if (command.cmd !== 'backup') return
  const backup = withDefaults(command, context)
  const compression = await host.compression(backup.backup.compression)
  const ofMain = isMain(backup.backup.profile)
  const writes = info.delaySecs === 0
  const looking = ofMain ? context.answerWithStorage(context.config, opid, { writes }) : undefined
  looking?.catch(() => undefined)
  const answering = answerMark(context, backup.backup, looking)
  const leading = lead()
  const working = info.delaySecs > 0 ? Promise.resolve() : work().catch(tell)
  // A fault of the one part must not hide that of the other.
  const [led, worked] = await Promise.allSettled([leading, working, answering])
  if (led.status === 'rejected') throw led.reason
  if (worked.status === 'rejected') throw worked.reason

  async function lead(): Promise<void> {
    const office = {
      holds: (now: NodeInfo) => leadsCluster(context, now),
      isTakenUp: async () => (await findBackupByOpid(leader, opid)) !== undefined,
    }
    if (!leads && !(await comesIntoOffice(context, office))) return
    await withContainer(context, { compression }, (container) =>
      container.resolve(BackupLeader).run(backup, { signal }),
    )
  }

  /** At once: whoever leads the backup need not wait for a node that can't make it. */
  function tell(error: unknown): never {
    if (!signal.aborted) log.error(errorText(error))
    throw error
  }

  async function work(): Promise<void> {
    const storage = await looking
    if (storage?.ok === false) throw new PbmError('STORAGE_UNFIT', `no backup is made here: ${storage.e}`)
    await withStore(
      context,
      (store) =>
        withContainer(context, { store, compression }, (container) =>
          container.resolve(BackupNominee).run(backup, { signal }),
        ),
      await requireStorage(leader, backup.backup.profile),
    )
  }
}

/** What neither the command nor the configuration says, the agent's own settings do. */
function withDefaults(
  command: CommandDocument & { cmd: 'backup' },
  { config, dumpParallelCollections }: OperationContext,
) {
  const { numParallelColls } = command.backup
  if (numParallelColls !== undefined && numParallelColls > 0) return command
  const configured = config.backup?.numParallelCollections
  if (configured !== undefined && configured > 0) return command
  if (dumpParallelCollections === undefined) return command
  return { ...command, backup: { ...command.backup, numParallelColls: dumpParallelCollections } }
}
