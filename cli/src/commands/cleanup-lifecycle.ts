import {
  clusterTime,
  isMain,
  type KeepReason,
  lifecycleOf,
  lifecyclePlan,
  minKeepFault,
  readInventory,
  requireConfig,
  requireStorage,
} from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { carryOutDeletion } from '../deletion.js'
import { usageError } from '../errors.js'
import { refuseIfBusy } from '../preflight.js'
import { backupJson, backupLine } from '../retention.js'
import type { Session } from '../session.js'
import { type WaitOptions, waitDeadline } from '../wait/options.js'

interface LifecycleOptions extends WaitOptions {
  olderThan?: string
  profile?: string
  dryRun?: boolean
  yes?: boolean
}

const REASONS: Readonly<Record<KeepReason, string>> = {
  daily: 'of the days that are kept',
  weekly: 'the one of its week',
  monthly: 'the one of its month',
  chain: 'of a chain of increments that is kept',
  'pitr base': 'the base of point-in-time recovery',
  running: 'not ended',
  selective: 'selective',
  failed: 'failed, and lifecycle.purgeFailed is off',
}

/** `pbm cleanup --lifecycle`: the backups that `lifecycle` of the configuration, or of a profile, does not keep. */
export async function cleanUpByLifecycle(session: Session, options: LifecycleOptions): Promise<void> {
  if (options.olderThan !== undefined) throw usageError('--older-than and --lifecycle exclude each other')
  const deadline = waitDeadline(options, session.clock)
  const leader = await session.leader()
  const profile = isMain(options.profile) ? '' : options.profile
  await requireConfig(leader)
  await requireStorage(leader, profile)
  const rules = await lifecycleOf(leader, profile)
  if (options.dryRun !== true) await refuseIfBusy(session, leader, { deadline })
  const now = await clusterTime(leader)
  const plan = lifecyclePlan(await readInventory(leader), rules, now.t, profile)

  const { output } = session
  // PBM's keys (PBM: parity.md §6).
  const result = (deleted: boolean, msg: string) => ({
    ...{ msg, deleted, dryRun: options.dryRun === true, configUsed: rules },
    backupsKept: plan.kept.map(({ backup }) => backup.name),
    backupsPurged: plan.purged.map(({ name }) => name),
    keepReasons: Object.fromEntries(plan.kept.map(({ backup, reasons }) => [backup.name, reasons])),
    backupTypes: Object.fromEntries(
      [...plan.kept.map(({ backup }) => backup), ...plan.purged].map(({ name, type }) => [name, type]),
    ),
    backups: plan.purged.map(backupJson),
  })
  const going = plan.purged.map(backupLine).join('\n')
  const staying = plan.kept
    .map(({ backup, reasons }) => `${backupLine(backup)}: ${reasons.map((reason) => REASONS[reason]).join(', ')}`)
    .join('\n')
  if (rules.enabled !== true) {
    output.result(result(false, 'nothing to delete'), () => 'Nothing to delete: lifecycle.enabled is not true.')
    return
  }
  const fault = minKeepFault(plan, rules)
  if (options.dryRun === true) {
    if (fault !== undefined) output.warn(fault.message)
    output.result(result(false, 'dry run: nothing was deleted'), () =>
      [
        going === '' ? 'Nothing to delete.' : `Would be deleted:\n${going}`,
        ...(staying === '' ? [] : [`Stays:\n${staying}`]),
      ].join('\n'),
    )
    return
  }
  if (fault !== undefined) throw fault
  if (going === '') {
    output.result(result(false, 'nothing to delete'), () => 'Nothing to delete.')
    return
  }
  const cleanup = { olderThan: new Timestamp({ t: 0, i: 0 }), profile, lifecycleAt: now }
  const deletion = {
    ...{ command: { cmd: 'cleanup', cleanup } as const, title: 'cleanup', lines: going, result },
    going: { backups: plan.purged, chunks: [] },
  }
  const isConfirmed = options.yes === true
  await carryOutDeletion(session, leader, deletion, { isConfirmed, wait: options.wait === true, deadline })
}
