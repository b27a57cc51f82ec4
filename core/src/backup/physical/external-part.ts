import type { MongoClient } from 'mongodb'
import type { Config } from '../../config/document.js'
import type { BackupReplset, BackupStatus } from '../../control/backup-document.js'
import { setReplsetFields, setWriteTimestamps } from '../../control/backups.js'
import type { CommandDocument } from '../../control/command-document.js'
import { isSealing } from '../../encryption/ciphers.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { writtenByNow } from '../../mongo/causal.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import type { Member } from '../../mongo/topology.js'
import { lastWriteAfter } from '../../oplog/reading/last-write-after.js'
import { awaitState } from '../../protocol/convergence.js'
import { BACKUP_KIND } from '../../protocol/operation-kind.js'
import type { OperationSteps } from '../../protocol/operation-run.js'
import type { WithPrimary } from '../../protocol/tokens.js'
import { replsetJson } from '../../store/layout/backup-metadata.js'
import type { OpenStore } from '../../store/open-store.js'
import type { Clock } from '../../time/clock.js'
import { requireRecord } from '../cut.js'
import { holdFiles } from './external.js'
import { longestExternalLock } from './longest-lock.js'

export interface HoldContext {
  readonly node: MongoClient
  readonly leader: MongoClient
  readonly withPrimary: WithPrimary
  readonly self: Member
  readonly store: OpenStore
  readonly log: OperationLog
  readonly clock: Clock
  readonly uri: string | undefined
}

export interface HoldWork extends OperationSteps<BackupStatus> {
  readonly command: CommandDocument & { cmd: 'backup' }
  readonly config: Config
}

/**
 * A replica set's part of an external backup (PBM: control-plane.md §5.2, step 6): the member stays locked from `copyReady` until
 * somebody has said `copyDone`. What was acknowledged before the command is in the files, however far this member was behind.
 */
export async function holdPart(
  { node, leader, withPrimary, self, store, log, clock, uri = '' }: HoldContext,
  { command, config, signal, progress, reach }: HoldWork,
  server: ServerOptions,
): Promise<Partial<BackupReplset> & Pick<BackupReplset, 'size' | 'size_uncompressed'>> {
  const { name, filelist } = command.backup
  const begun = await withPrimary((primary) => writtenByNow(primary))
  await lastWriteAfter(node, begun, { member: self.node, clock, signal, log })
  progress.phase('copy')
  const lastWrite = await holdFiles({
    ...{ node, uri, server, log, clock, signal, backup: name, replset: self.rs },
    listStore: filelist === true && !isSealing(config.encryption) ? store : undefined,
    maxLockMs: longestExternalLock(config),
    describe: async (ts, locked_until) => {
      await setReplsetFields(leader, name, self.rs, { first_write_ts: ts, last_write_ts: ts, locked_until })
      await setWriteTimestamps(leader, name, { first: ts, last: ts })
      const part = (await requireRecord(leader, name)).replsets.find(({ name: rs }) => rs === self.rs)
      if (part === undefined) throw new PbmError('OPERATION_GONE', `the record of backup ${name} has no ${self.rs}`)
      return replsetJson(part)
    },
    ready: () => reach('copyReady'),
    copied: async (stop) => {
      await awaitState(BACKUP_KIND, { leader, name, state: 'copyDone', signal: stop, clock })
      await BACKUP_KIND.setReplsetStatus(leader, name, self.rs, 'copyDone', { by: 'nominee' })
    },
  })
  return { first_write_ts: lastWrite, last_write_ts: lastWrite, size: 0, size_uncompressed: 0 }
}
