import { clusterTime, expired, isMain, requireConfig, requireStorage } from '@pbmkit/core'
import { Command, Option } from 'commander'
import type { Timestamp } from 'mongodb'
import { usageError } from '../errors.js'
import { confirm } from '../io.js'
import { parseOlderThan } from '../output/times.js'
import { refuseIfBusy, requireLeaderAgent } from '../preflight.js'
import { backupJson, backupLine, checkGone, chunkLines, chunkRanges, readInventory } from '../retention.js'
import { send } from '../send.js'
import type { Run, Session } from '../session.js'
import { waitForOperation } from '../wait/operation.js'
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
  await requireLeaderAgent(leader)
  if (options.yes !== true && options.force !== true) await confirm(`To be deleted:\n${lines}\nDelete it?`, session.io)

  const opid = await send(leader, commandOf(cmd, limit, profile))
  const title = cmd === 'cleanup' ? 'cleanup' : 'deletion of chunks'
  if (options.wait !== true) {
    output.result(result(false, 'being deleted'), () =>
      [`Being deleted:`, lines, `See how it ends: pbm logs -e ${cmd} -i ${opid} -t 0`].join('\n'),
    )
    return
  }
  await waitForOperation(session, leader, { opid, title, event: cmd }, { deadline })
  await checkGone(leader, going, cmd)
  output.result(result(true, 'deleted'), () => `${output.colours.good('Deleted:')}\n${lines}`)
}

function commandOf(cmd: 'cleanup' | 'deletePitr', limit: Timestamp, profile: string) {
  return cmd === 'cleanup'
    ? { cmd, cleanup: { olderThan: limit, profile } }
    : { cmd, deletePitr: { olderthan: limit.t } }
}
