import {
  type BackupDocument,
  clusterTime,
  expired,
  isFinished,
  isMain,
  isNeededForSlicing,
  isStale,
  PbmError,
  readInventory,
  requireStorage,
  sourceName,
} from '@pbmkit/core'
import { Command } from 'commander'
import type { MongoClient, Timestamp } from 'mongodb'
import { checkGone } from '../deletion.js'
import { usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { confirm } from '../io.js'
import { parseOlderThan } from '../output/times.js'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { backupJson, backupLine } from '../retention.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'

const TYPES = ['logical', 'physical', 'incremental', 'external', 'selective'] as const

interface DeleteOptions {
  olderThan?: string
  type?: string
  profile?: string
  dryRun?: boolean
  yes?: boolean
  force?: boolean
}

/** `pbm delete-backup`: shows what will go, asks, and waits until the agents have removed it. */
export function deleteBackupCommand(run: Run): Command {
  return new Command('delete-backup')
    .description('delete one backup, or all that are old')
    .argument('[name]', 'name of the backup')
    .option('--older-than <time>', '2031-02-03T04:05:06 (UTC), 2031-02-03, T,I, or 30d for days')
    .option('-t, --type <type>', `with --older-than: only ${TYPES.join(', ')}`)
    .option('--profile <name>', 'with --older-than: of this profile; default: of the main storage')
    .option('--dry-run', 'only show what would go')
    .option('-y, --yes', 'do not ask')
    .option('-f, --force', 'the same as --yes')
    .action((name: string | undefined, options: DeleteOptions, command: Command) =>
      run(command, (session) => deleteBackups(session, name, options)),
    )
}

async function deleteBackups(session: Session, name: string | undefined, options: DeleteOptions): Promise<void> {
  checkCombination(name, options)
  const leader = await session.leader()
  const profile = isMain(options.profile) ? '' : options.profile
  await requireStorage(leader, profile)
  if (options.dryRun !== true) await refuseIfBusy(session, leader)
  const now = await clusterTime(leader)
  const limit = options.olderThan === undefined ? undefined : parseOlderThan(options.olderThan, now.t)
  const going =
    name !== undefined
      ? [await deletable(leader, name, now)]
      : await olderThan(leader, limit ?? now, options.type, profile)

  const { output } = session
  const result = (deleted: boolean, msg: string) => ({ msg, backups: going.map(backupJson), deleted })
  if (going.length === 0) {
    output.result(result(false, 'nothing to delete'), () => 'Nothing to delete.')
    return
  }
  const candidates = going.map(backupLine).join('\n')
  if (options.dryRun === true) {
    output.result(result(false, 'dry run: nothing was deleted'), () => `Would be deleted:\n${candidates}`)
    return
  }
  await requireLeaderAgent(leader)
  if (options.yes !== true && options.force !== true)
    await confirm(
      `To be deleted:\n${candidates}\nDelete ${going.length === 1 ? 'it' : `these ${going.length} backups`}?`,
      session.io,
    )

  const opid = await send(leader, {
    cmd: 'delete',
    delete: { backup: name ?? '', olderthan: limit?.t ?? 0, type: options.type ?? '', profile },
  })
  await waitForOperation(session, leader, { opid, title: 'deletion', event: 'delete' })
  await checkGone(leader, { backups: going, chunks: [] }, 'delete')
  output.result(result(true, 'deleted'), () => `${output.colours.good('Deleted:')}\n${candidates}`)
}

function checkCombination(name: string | undefined, options: DeleteOptions): void {
  if (name === undefined && options.olderThan === undefined)
    throw usageError('which backups?', 'Give a name, or --older-than; pbm list has the names.')
  if (name !== undefined && options.olderThan !== undefined)
    throw usageError('a name and --older-than exclude each other')
  if (options.profile !== undefined && options.olderThan === undefined)
    throw usageError('--profile goes only with --older-than', 'A backup that is named is deleted wherever it lies.')
  if (options.type === undefined) return
  if (options.olderThan === undefined) throw usageError('--type goes only with --older-than')
  if (!TYPES.some((type) => type === options.type))
    throw usageError(`--type: '${options.type}' is no type of backup`, `Choose of ${TYPES.join(', ')}.`)
}

async function deletable(leader: MongoClient, name: string, now: Timestamp): Promise<BackupDocument> {
  const backup = await requireBackup(leader, name)
  if (!isFinished(backup) && !isStale(backup.hb, now))
    throw new PbmError('BACKUP_RUNNING', `backup ${name} is running (${backup.status})`, {
      hint: 'Wait for its end, or stop it with pbm cancel-backup.',
    })
  if (backup.status === 'done' && sourceName(backup) !== undefined)
    throw new PbmError('BACKUP_INCREMENT', `backup ${name} is an increment: only its whole chain can be deleted`, {
      hint: 'Delete the base of the chain; pbm list shows it.',
    })
  if (isNeededForSlicing(backup, await readInventory(leader)))
    throw new PbmError('NEEDED_FOR_PITR', `backup ${name} is the base that point-in-time recovery rests on`, {
      hint: 'Make a newer backup first, or switch it off: pbm config --set pitr.enabled=false.',
    })
  return backup
}

async function olderThan(
  leader: MongoClient,
  limit: Timestamp,
  type: string | undefined,
  profile: string,
): Promise<BackupDocument[]> {
  const { backups } = expired(await readInventory(leader), limit, profile)
  if (type === undefined) return backups
  return backups.filter((backup) =>
    type === 'selective' ? (backup.nss ?? []).length > 0 : backup.type === type && (backup.nss ?? []).length === 0,
  )
}
