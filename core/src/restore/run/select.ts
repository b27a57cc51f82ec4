import type { Timestamp } from 'bson'
import type { BackupDocument, BackupReplset } from '../../control/backup-document.js'
import { namespacePairs, type RestoreCommand } from '../../control/command-document.js'
import { profileOf } from '../../control/profiles.js'
import { Renaming } from '../../control/renaming.js'
import { isTimeAsked } from '../../control/restore-document.js'
import { checkedSelection, Selection } from '../../control/selection.js'
import { PbmError } from '../../errors.js'
import { isHidden } from '../selective/choose.js'
import type { Wanted } from '../selective/plan.js'

/** Refuses, before anything is done, what this version does not do; silently doing all would be worse. */
export function refuseUnsupported(command: RestoreCommand): void {
  const { external, keepExisting, query, usersAndRoles } = command
  if (external) throw unsupported('A restore of external data is not supported by this version')
  const isMoved = namespacePairs(command).length > 0
  if (keepExisting === true && isMoved)
    throw unsupported('What goes beside the live one goes to a free place: --keep-existing does not go with --ns-from')
  if (keepExisting === true && usersAndRoles === true)
    throw unsupported('--keep-existing is for documents: users and roles stay as they are')
  if (query !== undefined && keepExisting !== true && !isMoved)
    throw unsupported('--query would leave out all other documents of the live collection', {
      hint: 'Say --keep-existing as well, or put what matches beside it with --ns-from and --ns-to.',
    })
}

/** What a command asks for of a backup; undefined for all that it has. Throws `NAMESPACE_INVALID` and `NAMESPACE_MISSING`. */
export function wantedOf(command: RestoreCommand, backup: BackupDocument): Wanted | undefined {
  const wanted = asked(command, backup)
  if (wanted === undefined) return undefined
  const own = Selection.of(backup.nss)
  const lacking = own === undefined || isHidden(backup) ? [] : own.lacks(wanted.selection)
  if (own === undefined || lacking.length === 0) return wanted
  const has = own.entries.slice(0, 20).join(', ')
  throw new PbmError(
    'NAMESPACE_MISSING',
    `Backup ${backup.name} is selective: it has ${has}, and not ${lacking.join(', ')}`,
  )
}

function asked(command: RestoreCommand, backup: BackupDocument): Wanted | undefined {
  const { nss, usersAndRoles, keepExisting = false, query } = command
  const pairs = namespacePairs(command)
  if (pairs.length > 0) {
    const renaming = Renaming.of(pairs)
    return { selection: renaming.selection, usersAndRoles: false, renaming, query }
  }
  const selection = checkedSelection(nss ?? [], usersAndRoles)
  const how = { keepExisting, query }
  if (selection !== undefined) return { selection, usersAndRoles: usersAndRoles === true, ...how }
  const own = Selection.of(backup.nss)
  if (own !== undefined)
    return { selection: own, usersAndRoles: !keepExisting && backup.sel_users_and_roles === true, ...how }
  if (keepExisting) throw unsupported('--keep-existing is for chosen namespaces', { hint: 'Say which, with --ns.' })
  return undefined
}

/** The chunks lie on the main storage, and a restore reads one storage. */
export function refuseProfileBase(
  backup: BackupDocument,
  { oplogTS }: { readonly oplogTS?: Timestamp | undefined },
): void {
  const profile = profileOf(backup)
  if (profile === undefined || !isTimeAsked(oplogTS)) return
  throw new PbmError(
    'RESTORE_TIME',
    `Backup ${backup.name} can't be the base of a point in time: it lies on the storage of profile ${profile}`,
    { hint: 'Choose a base on the main storage, where the oplog is.' },
  )
}

/** The part of the backup for replica set `rs`; undefined when it has none. `rsMap` is backup name → target name. */
export function replsetOfBackup(
  backup: BackupDocument,
  rs: string,
  rsMap: Readonly<Record<string, string>>,
): BackupReplset | undefined {
  return backup.replsets.find(({ name }) => (rsMap[name] ?? name) === rs)
}

/** What replica set `rs` is called in the backup and in the chunks after it. */
export function nameInBackup(rs: string, rsMap: Readonly<Record<string, string>>): string {
  return Object.keys(rsMap).find((name) => rsMap[name] === rs) ?? rs
}

function unsupported(what: string, options: { hint?: string } = {}): PbmError {
  return new PbmError('RESTORE_UNSUPPORTED', what, options)
}
