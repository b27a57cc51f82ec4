import { isOfFiles } from '../../control/backup-document.js'
import type { DrillCommand } from '../../control/command-document.js'
import type { DrillReport } from '../../control/drill-document.js'
import { errorText, PbmError } from '../../errors.js'
import { findAnywhere } from '../../restore/run/find-backup.js'
import type { DrillContext } from './context.js'
import { withLogical } from './logical.js'
import { withPhysical } from './physical.js'
import type { Restored } from './restored.js'
import { runChecks } from './run-checks.js'
import { validateData } from './validate-data.js'

/** Of each check. */
const CHECK_MS = 600_000
const MOST_FAULTS = 100
/** These say nothing of the backup. */
const NOT_MADE: readonly string[] = ['SCRATCH_SPACE', 'SERVER_UNKNOWN', 'RESTORE_UNSUPPORTED', 'BACKUP_NOT_FOUND']

type Found = Pick<DrillReport, 'restoreSeconds' | 'collections' | 'documents' | 'indexes' | 'checks'> & {
  readonly faults: readonly string[]
}

const NOTHING_FOUND: Found = { restoreSeconds: 0, collections: 0, documents: 0, indexes: 0, checks: [], faults: [] }

/**
 * Restores this replica set's part of a backup to a server that is made for it, and looks whether all is there and right. That
 * the backup can't be restored is in the report. Rejects where the drill could not be made, and with the signal's reason.
 */
export async function drillReplset(command: DrillCommand, context: DrillContext): Promise<DrillReport> {
  const { leader, store, self, signal, clock, progress } = context
  const backup = await findAnywhere(leader, store, command.backup, signal)
  if (backup.status !== 'done')
    throw new PbmError('BACKUP_NOT_DONE', `Backup ${backup.name} can't be restored: it is ${backup.status}`)
  if (backup.type !== 'logical' && !isOfFiles(backup.type))
    throw new PbmError('RESTORE_UNSUPPORTED', `A drill of ${backup.type} backups is not supported`)
  const began = clock.now()
  const restore = backup.type === 'logical' ? withLogical : withPhysical
  const found = await restore(backup, command, context, (restored) => lookAt(restored, context)).catch(
    async (error: unknown): Promise<Found> => {
      signal.throwIfAborted()
      if (error instanceof PbmError && NOT_MADE.includes(error.code)) throw error
      // What was deleted meanwhile is not damaged.
      const now = await findAnywhere(leader, store, command.backup, signal)
      if (now.status !== 'done') throw error
      return { ...NOTHING_FOUND, faults: [errorText(error)] }
    },
  )
  await progress.settle()
  const { faults, ...figures } = found
  return {
    ...{ backup: backup.name, rs: self.rs, node: self.node },
    ...(command.time === undefined ? {} : { time: command.time }),
    ...figures,
    result: faults.length === 0 ? 'good' : 'failed',
    totalSeconds: (clock.now() - began) / 1000,
    faults: faults.slice(0, MOST_FAULTS),
    more: Math.max(0, faults.length - MOST_FAULTS),
  }
}

/** What a user would look at. */
async function lookAt({ client, signal, restoreMs, faults, at }: Restored, context: DrillContext): Promise<Found> {
  const { progress, info } = context
  progress.phase('validate')
  const { invalid, ...counts } = await validateData(client, signal)
  progress.phase('checks')
  const wanted = info.isSharded ? await havingCollection(client, context.checks) : context.checks
  const checks = await runChecks(client, wanted, { at, signal, timeoutMs: CHECK_MS })
  return {
    ...{ ...counts, checks, restoreSeconds: restoreMs / 1000 },
    faults: [
      ...faults,
      ...invalid.map(({ ns, what }) => `${ns} is not valid: ${what}`),
      ...checks.flatMap(({ ns, fault }) => (fault === undefined ? [] : [`check of ${ns}: ${fault}`])),
    ],
  }
}

/** A shard has only some of the collections. */
async function havingCollection(
  client: Restored['client'],
  checks: DrillContext['checks'],
): Promise<DrillContext['checks']> {
  const has = await Promise.all(
    checks.map(async ({ ns }) => {
      const dot = ns.indexOf('.')
      const named = client.db(ns.slice(0, dot)).listCollections({ name: ns.slice(dot + 1) }, { nameOnly: true })
      return await named.hasNext()
    }),
  )
  return checks.filter((_, index) => has[index])
}
