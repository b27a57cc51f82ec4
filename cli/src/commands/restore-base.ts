import {
  type BackupDocument,
  clusterTime,
  isBaseSnapshot,
  isOfFiles,
  isWhollySealed,
  listBackups,
  listChunks,
  optime,
  PbmError,
  planPointInTime,
  profileOf,
  tableTime,
  withoutReshardings,
} from '@pbmkit/core'
import type { MongoClient, Timestamp } from 'mongodb'
import { notSupportedYet, usageError } from '../errors.js'
import { requireBackup } from '../find-backup.js'
import { incompatibilities } from '../incompatibilities.js'
import { momentText } from '../output/times.js'
import { basesOf, rangesOf } from '../pitr-ranges.js'
import { canReplaceFiles } from '../preflight.js'
import type { Session } from '../session.js'
import { failureReason } from '../wait/failure.js'

/** The backup to start from. Fails with TIME_IN_FUTURE, and with RESTORE_TIME and the nearest times. */
export async function baseOf(
  session: Session,
  leader: MongoClient,
  target: Timestamp,
  {
    baseSnapshot,
    mustBeSealed,
    isPart,
  }: { readonly baseSnapshot?: string; readonly mustBeSealed: boolean; readonly isPart: boolean },
  remap: Readonly<Record<string, string>>,
): Promise<BackupDocument> {
  const [backups, listed, now] = await Promise.all([listBackups(leader), listChunks(leader), clusterTime(leader)])
  const chunks = isPart ? withoutReshardings(listed) : listed
  const usable = basesOf(backups)
  if (target.greaterThan(now)) {
    const { ranges } = rangesOf(chunks, usable, {})
    const last = ranges.at(-1)?.range.end
    throw new PbmError('TIME_IN_FUTURE', `${momentText(target)} lies in the future: it is ${tableTime(now.t)} now`, {
      hint:
        last === undefined
          ? 'pbm list shows what can be restored.'
          : `The last time to restore to is ${tableTime(last)}.`,
    })
  }
  const base = baseSnapshot === undefined ? undefined : await restorableBackup(session, leader, baseSnapshot, remap)
  if (base !== undefined && !isBaseSnapshot(base))
    throw new PbmError('RESTORE_TIME', `backup ${base.name} can't be the base of a point in time: it is selective`, {
      hint: 'Choose a full backup, or leave --base-snapshot out.',
    })
  const profile = base === undefined ? undefined : profileOf(base)
  if (base !== undefined && profile !== undefined)
    throw new PbmError(
      'RESTORE_TIME',
      `backup ${base.name} can't be the base of a point in time: it lies on the storage of profile ${profile}`,
      { hint: 'Choose a backup on the main storage, where the oplog is, or leave --base-snapshot out.' },
    )
  const target64 = optime({ t: target.t, i: target.i })
  if (base !== undefined) return planPointInTime({ chunks, bases: usable, base, target: target64 })
  // Backups that this cluster can't restore are no bases, unless somebody insists by name.
  const reasons = await incompatibilities(leader, usable, remap)
  const isFit = await canReplaceFiles(leader)
  const isUsable = ({ name, type }: BackupDocument) =>
    reasons.get(name) === undefined && (isPart || isFit || type === 'logical')
  const restorable = usable.filter(isUsable)
  // What stands in the way of the files is told by who would have to replace them.
  const bases = restorable.length === 0 ? usable.filter(({ name }) => reasons.get(name) === undefined) : restorable
  // Nobody gets in the way of a sealed one by storing a newer one.
  const sealed = mustBeSealed ? bases.filter(isWhollySealed) : []
  const all = sealed.length === 0 ? bases : sealed
  // For a part, all files of a physical one would have to be fetched.
  const isPreferred = ({ type }: BackupDocument) => !isPart || type === 'logical'
  return planPointInTime({ chunks, bases: all, target: target64, isPreferred })
}

/** Fails with BACKUP_NOT_FOUND and BACKUP_NOT_DONE. */
export async function restorableBackup(
  session: Session,
  leader: MongoClient,
  name: string,
  remap: Readonly<Record<string, string>>,
): Promise<BackupDocument> {
  const backup = await requireBackup(leader, name)
  if (backup.status !== 'done')
    throw new PbmError(
      'BACKUP_NOT_DONE',
      `backup ${name} can't be restored: it is '${backup.status}'${
        backup.status === 'error' ? ` (${failureReason(backup)})` : ''
      }`,
      { hint: 'pbm list shows the backups that can be.' },
    )
  if (backup.type === 'external')
    throw usageError(`backup ${name} is external: its files are yours to copy`, `pbm restore ${name} --external`)
  if (backup.type !== 'logical' && !isOfFiles(backup.type))
    throw notSupportedYet(`restoring a ${backup.type} backup`, 'Restore it with PBM.')
  // The agents decide: a foreign replica set they refuse before anything is touched, another FCV they only warn of.
  const reason = (await incompatibilities(leader, [backup], remap)).get(name)
  if (reason !== undefined) session.output.warn(`backup ${name} does not quite match this cluster: ${reason}`)
  return backup
}
