import { clusterTime, expired, isMain, readInventory, requireConfig, requireStorage } from '@pbmkit/core'
import { Command, Option } from 'commander'
import type { Timestamp } from 'mongodb'
import { carryOutDeletion } from '../deletion.js'
import { usageError } from '../errors.js'
import { parseOlderThan } from '../output/times.js'
import { refuseIfBusy } from '../preflight.js'
import { backupJson, backupLine, chunkLines, chunkRanges } from '../retention.js'
import type { Run, Session } from '../session.js'
import { addWaitOptions, type WaitOptions, waitDeadline } from '../wait/options.js'
import { cleanUpByLifecycle } from './cleanup-lifecycle.js'

interface CleanupOptions extends WaitOptions {
  olderThan?: string
  lifecycle?: boolean
  all?: boolean
  profile?: string
  dryRun?: boolean
  yes?: boolean
  force?: boolean
}

const OLDER_THAN = '2031-02-03T04:05:06 (UTC), 2031-02-03, T,I, or 30d for days'

/** `pbm cleanup`: old backups and chunks together. */
export function cleanupCommand(run: Run): Command {
  const command = new Command('cleanup')
    .description('delete old backups and oplog chunks, but nothing that a later point in time needs')
    .option('--older-than <time>', OLDER_THAN)
    .option('--lifecycle', 'backups that lifecycle of the configuration does not keep, and no chunks')
    .option('--profile <name>', 'of the storage of this profile; default: of the main storage')
  return addDeleteOptions(command).action((options: CleanupOptions, self: Command) =>
    run(self, (session) =>
      options.lifecycle === true ? cleanUpByLifecycle(session, options) : cleanUp(session, options, 'cleanup'),
    ),
  )
}

/** `pbm delete-pitr`: old chunks only. */
export function deletePitrCommand(run: Run): Command {
  const command = new Command('delete-pitr')
    .description('delete old oplog chunks, but none that a later point in time needs')
    .option('--older-than <time>', OLDER_THAN)
    .option('-a, --all', 'all that are not needed to go on from the newest backup')
    .addOption(new Option('-f, --force', 'the same as --yes').hideHelp())
  return addDeleteOptions(command).action((options: CleanupOptions, self: Command) =>
    run(self, (session) => cleanUp(session, options, 'deletePitr')),
  )
}

function addDeleteOptions(command: Command): Command {
  command.option('--dry-run', 'only show what would go').option('-y, --yes', 'do not ask')
  return addWaitOptions(command, 'all is deleted; without it the deletion goes on by itself')
}

async function cleanUp(session: Session, options: CleanupOptions, cmd: 'cleanup' | 'deletePitr'): Promise<void> {
  if (options.olderThan === undefined && options.all !== true)
    throw usageError('how old?', `Give --older-than, or ${cmd === 'cleanup' ? '--lifecycle' : '--all'}.`)
  if (options.olderThan !== undefined && options.all === true)
    throw usageError('--older-than and --all exclude each other')
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  const profile = isMain(options.profile) ? '' : options.profile
  await requireConfig(leader)
  await requireStorage(leader, profile)
  if (options.dryRun !== true) await refuseIfBusy(session, leader, { deadline })
  const now = await clusterTime(leader)
  const limit = options.olderThan === undefined ? now : parseOlderThan(options.olderThan, now.t)
  const inventory = await readInventory(leader)
  const old = expired(inventory, limit, profile)
  const going = { backups: cmd === 'cleanup' ? old.backups : [], chunks: old.chunks }

  const { output } = session
  const backups = cmd === 'cleanup' ? { backups: going.backups.map(backupJson) } : {}
  const result = (deleted: boolean, msg: string) => ({ msg, ...backups, chunks: chunkRanges(going.chunks), deleted })
  const lines = [...going.backups.map(backupLine), ...chunkLines(going.chunks)].join('\n')
  if (lines === '') {
    const isNeeded = profile === '' && inventory.chunks.some(({ start_ts }) => start_ts.lessThan(limit))
    const why = isNeeded ? ': the oplog from before leads from a backup to a later time.' : '.'
    output.result(result(false, 'nothing to delete'), () => `Nothing to delete${why}`)
    return
  }
  if (options.dryRun === true) {
    output.result(result(false, 'dry run: nothing was deleted'), () => `Would be deleted:\n${lines}`)
    return
  }
  const deletion = {
    ...{ command: commandOf(cmd, limit, profile), title: cmd === 'cleanup' ? 'cleanup' : 'deletion of chunks' },
    ...{ going, lines, result },
  }
  const isConfirmed = options.yes === true || options.force === true
  await carryOutDeletion(session, leader, deletion, { isConfirmed, wait: options.wait === true, deadline })
}

function commandOf(cmd: 'cleanup' | 'deletePitr', limit: Timestamp, profile: string) {
  return cmd === 'cleanup'
    ? { cmd, cleanup: { olderThan: limit, profile } }
    : { cmd, deletePitr: { olderthan: limit.t } }
}
