import { type BackupDocument, PbmError, requireConfig } from '@pbmkit/core'
import { Command, Option } from 'commander'
import { type MongoClient, Timestamp } from 'mongodb'
import { notSupportedYet, usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { incompatibilities } from '../incompatibilities.js'
import { confirm } from '../io.js'
import { wholeNumber } from '../numbers.js'
import { prettySize } from '../output/bytes.js'
import { restoreName, rfc3339 } from '../output/times.js'
import { refuseIfBusy, requireRestoreAgents } from '../preflight.js'
import type { Run } from '../program.js'
import { send } from '../send.js'
import type { Session } from '../session.js'
import { failureReason } from '../wait/failure.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { waitForRestoreEnd, waitForRestoreStart } from '../wait/restore.js'

interface RestoreOptions extends WaitOptions {
  yes?: boolean
  numParallelCollections?: number
  numInsertionWorkersPerCollection?: number
  indexCommitQuorum?: string
  [later: string]: unknown
}

/** PBM's flags that need selective, point-in-time, physical or external restores. */
const LATER: readonly (readonly [flags: string, option: string])[] = [
  ['--time <time>', 'time'],
  ['--base-snapshot <name>', 'baseSnapshot'],
  ['--ns <namespaces>', 'ns'],
  ['--ns-from <namespace>', 'nsFrom'],
  ['--ns-to <namespace>', 'nsTo'],
  ['--with-users-and-roles', 'withUsersAndRoles'],
  ['--replset-remapping <map>', 'replsetRemapping'],
  ['--num-parallel-files <n>', 'numParallelFiles'],
  ['-x, --external', 'external'],
  ['-c, --config <file>', 'config'],
  ['--ts <timestamp>', 'ts'],
  ['--exit', 'exit'],
  ['--fallback-enabled', 'fallbackEnabled'],
  ['--allow-partly-done', 'allowPartlyDone'],
]

/** `pbm restore NAME`: replaces the data of the replica set by that of the backup. */
export function restoreCommand(run: Run): Command {
  const command = new Command('restore')
    .description('restore a backup: the data of the replica set is replaced')
    .argument('[backup]', 'name of the backup, as pbm list has it')
    .option('-y, --yes', 'do not ask')
    .option(
      '--num-parallel-collections <n>',
      'collections restored at a time; 0 takes it from the configuration',
      wholeNumber('--num-parallel-collections'),
    )
    .option(
      '--num-insertion-workers-per-collection <n>',
      'inserts under way for each collection; 0 takes it from the configuration',
      wholeNumber('--num-insertion-workers-per-collection'),
    )
    .option(
      '--index-commit-quorum <quorum>',
      'majority, votingMembers or 1 to 50: members that must have built an index',
    )
  for (const [flags] of LATER) command.addOption(new Option(flags, 'not supported yet').hideHelp())
  return addWaitOptions(command, 'the restore has ended; exit code 0 only when it is done').action(
    (name: string | undefined, options: RestoreOptions, self: Command) =>
      run(self, (session) => restore(session, name, options)),
  )
}

async function restore(session: Session, backupName: string | undefined, options: RestoreOptions): Promise<void> {
  for (const [flags, option] of LATER)
    if (options[option] !== undefined) throw notSupportedYet(flags.replace(/^-\w, /, '').split(' ')[0] ?? flags)
  if (backupName === undefined) throw usageError('which backup?', 'pbm restore NAME; pbm list has the names.')
  const quorum = checkedQuorum(options.indexCommitQuorum)
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()

  const config = await requireConfig(leader)
  await refuseIfBusy(leader)
  const backup = await restorableBackup(session, leader, backupName)
  await requireRestoreAgents(leader)
  const pitrWasOn = config.pitr?.enabled === true
  if (options.yes !== true) await confirm(question(backup, pitrWasOn), session.io)

  const name = restoreName(session.clock.now(), Math.floor(Math.random() * 1_000_000))
  const opid = await send(leader, {
    cmd: 'restore',
    restore: {
      name,
      backupName,
      fallbackEnabled: null,
      allowPartlyDone: null,
      ...(options.numParallelCollections ? { numParallelColls: options.numParallelCollections } : {}),
      ...(options.numInsertionWorkersPerCollection
        ? { numInsertionWorkers: options.numInsertionWorkersPerCollection }
        : {}),
      ...(quorum === undefined ? {} : { indexCommitQuorum: quorum }),
      external: false,
      extConf: null,
      extTS: new Timestamp({ t: 0, i: 0 }),
      exit: false,
    },
  })
  if (!session.output.json) session.output.note(`Starting restore ${name} of backup ${backupName} …`)
  await waitForRestoreStart(session, leader, { name, opid })
  if (pitrWasOn)
    session.output.warn(
      'point-in-time recovery was switched off by this restore. When it has ended, make a fresh backup and switch it on again: pbm backup --wait && pbm config --set pitr.enabled=true',
    )

  const told = { name, snapshot: backupName, opid, pitrDisabled: pitrWasOn }
  if (options.wait !== true) {
    session.output.result({ ...told, status: 'running' }, () =>
      [`Restore ${name} runs.`, `See how it ends: pbm describe-restore ${name}`].join('\n'),
    )
    return
  }
  const done = await waitForRestoreEnd(session, leader, name, deadline)
  session.output.result({ ...told, status: done.status }, () => {
    const { good } = session.output.colours
    const seconds = Number(done.last_transition_ts) - Number(done.start_ts)
    return `${good('Done:')} backup ${backupName} is restored (${seconds} s). A fresh backup is needed before point-in-time recovery can go on.`
  })
}

async function restorableBackup(session: Session, leader: MongoClient, name: string): Promise<BackupDocument> {
  const backup = await requireBackup(leader, name)
  if (backup.status !== 'done')
    throw new PbmError(
      'BACKUP_NOT_DONE',
      `backup ${name} can't be restored: it is '${backup.status}'${
        backup.status === 'error' ? ` (${failureReason(backup)})` : ''
      }`,
      { hint: 'pbm list shows the backups that can be.' },
    )
  if (backup.type !== 'logical') throw notSupportedYet(`restoring a ${backup.type} backup`, 'Restore it with PBM.')
  // The agents decide: a foreign replica set they refuse before anything is touched, another FCV they only warn of.
  const reason = (await incompatibilities(leader, [backup])).get(name)
  if (reason !== undefined) session.output.warn(`backup ${name} does not quite match this cluster: ${reason}`)
  return backup
}

function question(backup: BackupDocument, pitrIsOn: boolean): string {
  const replsets = backup.replsets.map(({ name }) => name).join(', ')
  return [
    `The data of ${replsets} will be replaced by backup ${backup.name} (${prettySize(Number(backup.size))}, state of ${rfc3339(backup.last_write_ts.t)}).`,
    ...(pitrIsOn ? ['Point-in-time recovery will be switched off.'] : []),
    'Go ahead?',
  ].join('\n')
}

function checkedQuorum(quorum: string | undefined): string | undefined {
  if (quorum === undefined || quorum === 'majority' || quorum === 'votingMembers') return quorum
  const members = Number(quorum)
  if (Number.isInteger(members) && members >= 1 && members <= 50) return quorum
  throw usageError(`--index-commit-quorum: '${quorum}' is neither majority, votingMembers nor a number from 1 to 50`)
}
