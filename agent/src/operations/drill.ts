import {
  checksOf,
  type DrillReport,
  drillFault,
  drillReplset,
  findBackup,
  noteDrill,
  PbmError,
  ProgressPublisher,
  profileOf,
  requireDrillable,
  requireKnownStorage,
  setDrilled,
} from '@pbmkit/core'
import { ciphersOf, withStore } from '../storages.js'
import type { OperationContext } from './context.js'
import { onOneMember } from './lead-only.js'
import { storageOf } from './restore.js'
import { STAND_BACK_MS, standBack } from './stand-back.js'

/** Faults kept in the record of a backup; the report has all. */
const KEPT_FAULTS = 10

/**
 * On one member of each replica set that the backup has, beside whatever runs: a secondary before the primary, and who has
 * neither room nor a program after all others. It then says why.
 */
export async function runDrill(context: OperationContext): Promise<void> {
  const { command, self } = context
  if (command.cmd !== 'drill') return
  const { drill } = command
  const backup = await findBackup(context.leader, drill.backup)
  const part = backup?.replsets.find(({ name }) => name === self.rs)
  // A replica set that came later has nothing to drill, but for the leader, which says that there is no such backup.
  if (part === undefined && (backup !== undefined || self.rs !== context.leaderReplset)) return
  const unable = await requireDrillable(context, Number(part?.size ?? 0)).then(
    () => undefined,
    (error: unknown) => error,
  )
  const steps = (context.info.isPrimary ? 1 : 0) + (unable === undefined ? 0 : 2)
  if (steps > 0) await standBack(context, steps * STAND_BACK_MS)
  await onOneMember(context, 'drill', async (signal, held) => {
    if (backup === undefined) throw new PbmError('BACKUP_NOT_FOUND', `There is no backup ${drill.backup}`)
    if (unable !== undefined) throw unable
    const { leader, opid, log, clock } = held
    const about = { opid, replset: self.rs }
    const progress = new ProgressPublisher(clock, (told) => noteDrill(leader, about, { progress: told }))
    const storage = await storageOf(held, drill.backup)
    const report = await withStore(
      { ...held, signal },
      async (store) => {
        const { host } = held
        // Elsewhere nothing would be there, and the drill would say that the backup can't be restored.
        await requireKnownStorage(store, { leader, host, storage, profile: profileOf(backup) }, { signal })
        const checks = checksOf(held.config)
        return await drillReplset(drill, { ...held, signal, store, ciphers: ciphersOf(held), progress, checks })
      },
      storage,
    )
    await setDrilled(leader, backup, recordOf(report, held))
    await noteDrill(leader, about, { report })
    const text = `drill of ${report.backup}: restored in ${report.restoreSeconds.toFixed(1)} s`
    if (report.result === 'good') log.info(`${text}, and all is right`)
    else log.warning(`drill of ${report.backup} failed: ${drillFault([report])}`)
    log.info('done')
  })
}

function recordOf(report: DrillReport, { self, opid, clock }: OperationContext) {
  const { rs, result, restoreSeconds, faults, time } = report
  return {
    ...{ rs, result, restoreSeconds, opid, at: Math.floor(clock.now() / 1000), by: `${self.rs}/${self.node}` },
    faults: faults.slice(0, KEPT_FAULTS),
    ...(time === undefined ? {} : { time }),
  }
}
