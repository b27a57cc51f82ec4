import { clusterTime, findRestore, isStale, PbmError, type RestoreDocument } from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Session } from '../session.js'
import { notBegun, type RestoreKind, restoreFailed, stuck } from './failure.js'
import { locksReleased } from './lock-release.js'
import { poll } from './poll.js'
import { overallProgress } from './progress.js'
import { showProgress } from './progress-bar.js'
import { refusal } from './refusal.js'

/** PBM's own limit for a logical restore is 15 s, which a slow election can exceed. */
const START_MS = 33_000

export interface SentRestore {
  readonly name: string
  /** The command's id, 24 hex digits. */
  readonly opid: string
  readonly kind?: RestoreKind
  /** How long it may take to be taken up, in milliseconds. */
  readonly startMs?: number | undefined
}

/** Waits until the restore runs: it has looked at everything by then. Fails with OPERATION_RUNNING, REFUSED, NO_ANSWER, RESTORE_FAILED, STUCK or INTERRUPTED. */
export async function waitForRestoreStart(
  session: Session,
  leader: MongoClient,
  sent: SentRestore,
): Promise<RestoreDocument> {
  const { name, opid, kind = 'restore', startMs = START_MS } = sent
  const refused = refusal(leader, opid)
  const giveUp = session.clock.now() + startMs
  return await poll(
    async () => {
      const restore = await findRestore(leader, name)
      if (restore !== undefined) {
        await refuseFailed(session, leader, restore, kind)
        return restore.status === 'starting' ? undefined : restore
      }
      const reason = await refused()
      if (reason !== undefined) throw notBegun('REFUSED', `${kind} ${name}`, reason)
      if (session.clock.now() > giveUp)
        throw new PbmError('NO_ANSWER', `no agent took up ${kind} ${name} within ${startMs / 1000} s`, {
          hint: 'See pbm status for the agents, and pbm logs -s D for what they say.',
        })
      return undefined
    },
    { clock: session.clock, signal: session.signal, onInterrupt: () => interrupted(name, kind) },
  )
}

/** Shows the restore's progress until it is done. Fails as `waitForRestoreStart`, and with WAIT_TIME. */
export async function waitForRestoreEnd(
  session: Session,
  leader: MongoClient,
  { name, kind = 'restore' }: Omit<SentRestore, 'opid'>,
  deadline: number | undefined,
): Promise<RestoreDocument> {
  const display = showProgress(session, kind, name)
  try {
    const ended = await poll(
      async () => {
        const restore = await findRestore(leader, name)
        if (restore === undefined)
          throw new PbmError('OPERATION_GONE', `the record of ${kind} ${name} disappeared while it ran`, {
            hint: 'The control collections were dropped. See the logs of the agents for how it ended.',
          })
        await refuseFailed(session, leader, restore, kind)
        display.update(restore.status, overallProgress(restore.replsets))
        return restore.status === 'done' ? restore : undefined
      },
      {
        clock: session.clock,
        signal: session.signal,
        deadline,
        onDeadline: () =>
          new PbmError('WAIT_TIME', `the wait time is over, and ${kind} ${name} still runs`, {
            hint: `It goes on. Watch it: pbm status, pbm describe-restore ${name}.`,
          }),
        onInterrupt: () => interrupted(name, kind),
      },
    )
    await locksReleased(session, leader, ended.opid)
    return ended
  } finally {
    display.stop()
  }
}

async function refuseFailed(
  session: Session,
  leader: MongoClient,
  restore: RestoreDocument,
  kind: RestoreKind,
): Promise<void> {
  if (restore.status === 'error') {
    // The others stop a moment after the one that failed.
    await locksReleased(session, leader, restore.opid)
    throw restoreFailed(restore, kind)
  }
  if (restore.status === 'partlyDone')
    throw new PbmError('RESTORE_PARTLY_DONE', `restore ${restore.name} ended on some members only`, {
      hint: `See which: pbm describe-restore ${restore.name}.`,
    })
  // PBM inserts restores that failed at once with a heartbeat of zero; those have the status error, handled above.
  if (restore.status !== 'done' && restore.hb.t > 0 && isStale(restore.hb, await clusterTime(leader)))
    throw stuck(kind, restore)
}

function interrupted(name: string, kind: RestoreKind): PbmError {
  return new PbmError('INTERRUPTED', `stopped waiting; ${kind} ${name} goes on`, {
    hint: `Watch it: pbm status, pbm describe-restore ${name}.`,
  })
}
