import { type BackupDocument, clusterTime, findBackup, isStale, PbmError } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Session } from '../session.js'
import { backupFailed, notBegun, stuck } from './failure.js'
import { locksReleased } from './lock-release.js'
import { poll } from './poll.js'
import { overallProgress } from './progress.js'
import { showProgress } from './progress-bar.js'
import { refusal } from './refusal.js'

/** PBM's own limit for the leader to make the metadata; an agent of ours takes milliseconds. */
const START_MS = 33_000

/** So often a record that was there may be missing before it counts as gone; why it is stands in the log a moment later. */
const GONE_LOOKS = 8

export interface SentBackup {
  readonly name: string
  /** The command's id, 24 hex digits. */
  readonly opid: string
}

/**
 * Waits until the backup runs. Ends early, with the reason the agents logged, when the leader refuses it: then there is never
 * any metadata to look at. Fails with OPERATION_RUNNING when another operation was faster, with REFUSED, NO_ANSWER, BACKUP_FAILED, BACKUP_CANCELED, STUCK or INTERRUPTED.
 */
export async function waitForBackupStart(session: Session, leader: MongoClient, sent: SentBackup): Promise<void> {
  const { name, opid } = sent
  const refused = refusal(leader, opid)
  const giveUp = session.clock.now() + START_MS
  let known = false
  let looksWithout = 0
  await poll(
    async () => {
      const backup = await findBackup(leader, name)
      if (backup !== undefined) {
        if (backup.opid !== opid) throw taken(backup)
        known = true
        await refuseFailed(session, leader, backup)
        return backup.status === 'starting' ? undefined : true
      }
      // The record of a backup that could not begin beside another operation is removed again.
      const reason = await refused()
      if (reason !== undefined) throw notBegun('REFUSED', `backup ${name}`, reason)
      if (known && ++looksWithout > GONE_LOOKS) throw vanished(name)
      // Once there is metadata, its heartbeat tells whether somebody works on it; until then only the clock does.
      if (session.clock.now() > giveUp) throw noAnswer(name)
      return undefined
    },
    { clock: session.clock, signal: session.signal, onInterrupt: () => interrupted(name) },
  )
}

/**
 * Shows the backup's progress until it is done. Fails as `waitForBackupStart`, and with WAIT_TIME when `deadline`
 * (milliseconds since the epoch) comes first; the backup itself then goes on.
 */
export async function waitForBackupEnd(
  session: Session,
  leader: MongoClient,
  name: string,
  deadline: number | undefined,
): Promise<BackupDocument> {
  const display = showProgress(session, 'backup', name)
  try {
    const ended = await poll(
      async () => {
        const backup = await findBackup(leader, name)
        if (backup === undefined) throw vanished(name)
        await refuseFailed(session, leader, backup)
        display.update(backup.status, overallProgress(backup.replsets))
        return backup.status === 'done' ? backup : undefined
      },
      {
        clock: session.clock,
        signal: session.signal,
        deadline,
        onDeadline: () =>
          new PbmError('WAIT_TIME', `the wait time is over, and backup ${name} still runs`, {
            hint: `It goes on. Watch it: pbm status, pbm describe-backup ${name}. Stop it: pbm cancel-backup.`,
          }),
        onInterrupt: () => interrupted(name),
      },
    )
    await locksReleased(session, leader, ended.opid)
    return ended
  } finally {
    display.stop()
  }
}

/** Waits until the files of an external backup may be copied, which takes no longer than the lock. Fails as {@link waitForBackupStart}. */
export async function waitForCopyReady(session: Session, leader: MongoClient, name: string): Promise<BackupDocument> {
  return await poll(
    async () => {
      const backup = await findBackup(leader, name)
      if (backup === undefined) throw vanished(name)
      await refuseFailed(session, leader, backup)
      return ['copyReady', 'copyDone', 'done'].includes(backup.status) ? backup : undefined
    },
    { clock: session.clock, signal: session.signal, onInterrupt: () => interrupted(name) },
  )
}

async function refuseFailed(session: Session, leader: MongoClient, backup: BackupDocument): Promise<void> {
  if (backup.status === 'error' || backup.status === 'canceled') {
    // The others stop a moment after the one that failed.
    await locksReleased(session, leader, backup.opid)
    throw backupFailed(backup)
  }
  if (backup.status !== 'done' && isStale(backup.hb, await clusterTime(leader))) throw stuck('backup', backup)
}

function interrupted(name: string): PbmError {
  return new PbmError('INTERRUPTED', `stopped waiting; backup ${name} goes on`, {
    hint: `Watch it: pbm status, pbm describe-backup ${name}. Stop it: pbm cancel-backup.`,
  })
}

/** Backups are named by their second: of several commands within one, the first makes the backup. */
function taken(backup: BackupDocument): PbmError {
  return new PbmError(
    'OPERATION_RUNNING',
    `another backup began in the same second, as ${backup.name} (operation ${backup.opid})`,
    { hint: 'Yours was not started. See pbm status; wait for its end, or stop it with pbm cancel-backup.' },
  )
}

function vanished(name: string): PbmError {
  return new PbmError('OPERATION_GONE', `the record of backup ${name} disappeared while it ran`, {
    hint: 'The control collections were dropped or the backup was deleted. Start a new one.',
  })
}

function noAnswer(name: string): PbmError {
  return new PbmError('NO_ANSWER', `no agent took up backup ${name} within ${START_MS / 1000} s`, {
    hint: 'See pbm status for the agents, and pbm logs -s D for what they say.',
  })
}
