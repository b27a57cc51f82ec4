import { Timestamp } from 'bson'
import { withScratch } from '../../backup/physical/scratch.js'
import type { BackupDocument } from '../../control/backup-document.js'
import type { DrillCommand, RestoreCommand } from '../../control/command-document.js'
import { stagingDatabase } from '../../control/staging-name.js'
import { readNumber } from '../../control/wire.js'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { restoreReplset } from '../../restore/run/replset.js'
import { findSources } from '../../restore/run/sources.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import type { DrillContext } from './context.js'
import type { Look } from './restored.js'
import { drillServer } from './server.js'

/** The data part of a restore, into an empty replica set of one member. */
export async function withLogical<T>(
  backup: BackupDocument,
  { time }: DrillCommand,
  context: DrillContext,
  look: Look<T>,
): Promise<T> {
  const { clock, progress, opid, self } = context
  const log = new DetailsOnly(context.log)
  const sources = await findSources(restoreOf(backup, time), { ...context, log })
  const { part, wanted, pointInTime, compression, tuning, stored: store } = sources
  if (part === undefined) throw new PbmError('RESTORE_UNSUPPORTED', `${backup.name} has nothing for ${self.rs}`)
  const server = { ...(await drillServer(context)), needs: readNumber(part.size) }
  return await withScratch(server, async (client, signal) => {
    const began = clock.now()
    const { unbuilt } = await restoreReplset({
      ...{ client, store, backup: sources.backup, part, compression, wanted, pointInTime, clock, log, progress },
      ...{ tuning: { ...tuning, withoutUsersAndRoles: false }, guard: deadlineGuard(signal) },
      ...{ usersInUse: [], staging: stagingDatabase(opid) },
      // There is nobody to be told, or waited for.
      reach: async () => undefined,
      onMade: async () => undefined,
      onGainedRoles: async () => undefined,
    })
    const restoreMs = clock.now() - began
    const at = (time ?? sources.backup.last_write_ts).getHighBitsUnsigned() * 1000
    return await look({ client, signal, restoreMs, faults: unbuilt, at })
  })
}

function restoreOf({ name }: BackupDocument, oplogTS: Timestamp | undefined): RestoreCommand {
  return {
    ...{ name: 'drill', backupName: name, fallbackEnabled: null, allowPartlyDone: null },
    ...{ external: false, extConf: null, extTS: new Timestamp({ t: 0, i: 0 }), exit: false },
    ...(oplogTS === undefined ? {} : { oplogTS }),
  }
}

/** What a restore says of what it does would read as if it had been one. */
class DetailsOnly implements OperationLog {
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
    this.#log.warning(message)
  }

  error(message: string): void {
    this.#log.warning(message)
  }
}
