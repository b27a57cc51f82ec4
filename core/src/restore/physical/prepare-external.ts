import { Timestamp } from 'mongodb'
import { layoutOf } from '../../backup/physical/layout.js'
import { requirePhysical } from '../../backup/physical/readiness.js'
import { programOf, type ServerProgram } from '../../backup/physical/server-program.js'
import type { BackupReplset } from '../../control/backup-document.js'
import type { RestoreCommand } from '../../control/command-document.js'
import { requireRights } from '../../control/rights.js'
import { isDocument } from '../../control/wire.js'
import { PbmError } from '../../errors.js'
import type { ServerOptions } from '../../mongo/server-options.js'
import { findAnywhere } from '../run/find-backup.js'
import { nameInBackup, replsetOfBackup } from '../run/select.js'
import type { ExternalFiles } from './brought-files.js'
import { refuseMounts } from './folders.js'
import { type PrepareContext, refuseOtherVersion, refuseParts } from './prepare.js'
import { prepareFolders } from './take-over.js'

/** A member whose files somebody is going to bring. */
export interface PreparedExternal {
  readonly external: ExternalFiles
  readonly server: ServerOptions
  readonly program: ServerProgram
  readonly folder: string
}

/** Looks whether this member can take files that somebody brings. Nothing of the data is touched. Throws whatever speaks against it. */
export async function prepareExternal(command: RestoreCommand, context: PrepareContext): Promise<PreparedExternal> {
  const { node, self, info } = context
  const { rsMap = {}, extConf, extTS, exit } = command
  refuseParts({ ...command, external: false })
  if (command.oplogTS !== undefined)
    throw unfit('external files are restored as they are', 'Leave --time out, and go on with pbm oplog-replay')
  if (info.isSharded) throw unfit('external files are not restored to a sharded cluster', 'Restore a physical backup')
  await requireRights(node, 'agent', { physical: true, version: info.version })
  const part = await partOf(command, context)
  const server = await requirePhysical(node)
  const own = extConf?.[self.rs]
  for (const stored of [part?.mongod_opts, own as Record<string, unknown> | undefined])
    if (isDocument(stored) && stored !== undefined) refuseOtherOptions(stored, server)
  await refuseMounts(server.dbPath, layoutOf(server.mongodOpts))
  const program = await programOf(server)
  const { fresh } = await prepareFolders(server.dbPath)
  const isTime = extTS instanceof Timestamp && extTS.getHighBitsUnsigned() > 0
  const external = {
    ...{ source: nameInBackup(self.rs, rsMap), exit, backupEnd: part?.last_write_ts },
    time: isTime ? extTS : undefined,
  }
  return { external, server, program, folder: fresh }
}

/** Undefined where no backup is named: nothing is known of the files then. */
async function partOf(
  { backupName, rsMap = {} }: RestoreCommand,
  { leader, store, self, info, signal }: PrepareContext,
): Promise<BackupReplset | undefined> {
  if (backupName === '') return undefined
  const backup = await findAnywhere(leader, store, backupName, signal)
  if (backup.status !== 'done')
    throw new PbmError('BACKUP_NOT_DONE', `Backup ${backup.name} can't be restored: it is ${backup.status}`)
  if (backup.type !== 'external')
    throw unfit(`backup ${backup.name} is ${backup.type}: its files are on the storage`, 'Leave --external out')
  const part = replsetOfBackup(backup, self.rs, rsMap)
  if (part === undefined) throw unfit(`backup ${backup.name} has nothing for replica set ${self.rs}`)
  refuseOtherVersion(backup, part, info)
  return part
}

/** The server that gets the files is started as it always is. */
function refuseOtherOptions(options: Readonly<Record<string, unknown>>, server: ServerOptions): void {
  const [stored, own] = [layoutOf(options), layoutOf(server.mongodOpts)]
  for (const key of ['directoryPerDB', 'directoryForIndexes'] as const)
    if (stored[key] !== own[key])
      throw unfit(`the files are of a server with ${key} ${stored[key]}, and this one runs with ${own[key]}`)
  if (options.security !== undefined) throw unfit('the files are encrypted by their server')
}

function unfit(what: string, hint?: string): PbmError {
  return new PbmError('RESTORE_UNSUPPORTED', what, hint === undefined ? {} : { hint })
}
