import {
  clusterTime,
  hasOperation,
  isStale,
  type LockDocument,
  listBesideLocks,
  listLocks,
  PbmError,
  STALE_SECONDS,
} from '@pbmkit/core'
import type { MongoClient } from 'mongodb'
import type { Session } from '../session.js'
import { lost, notBegun } from './failure.js'
import { locksReleased } from './lock-release.js'
import { poll } from './poll.js'
import { endedWell, operationErrors } from './refusal.js'

/** How long an agent may take to pick a command up; PBM's look once a second. */
const TAKE_UP_MS = 20_000
/** How often the log is read once more after the lock is gone: agents write it beside their work. */
const LAST_LOOKS = 5
/** Who lives beats every 5 s: a lock that was silent for this long and then vanished was not given back, but removed. */
const SUSPICIOUS_SECONDS = STALE_SECONDS - 5

export interface OperationWait {
  /** Milliseconds since the epoch. */
  readonly deadline?: number | undefined
  /** Called at each look, for what the operation tells of itself beyond its lock: true when it says that it ended well. */
  readonly ended?: () => Promise<boolean>
}

export interface WaitedOperation {
  readonly opid: string
  /** For messages. */
  readonly title: string
  /** As the log calls it. */
  readonly event: string
  /** On which an agent takes it up; the leader's alone when absent. */
  readonly replsets?: readonly string[]
}

/**
 * Waits for an operation without a document of its own (resync, delete): an agent records its id, holds a lock while it
 * works, and logs what went wrong. Fails with OPERATION_RUNNING, with OPERATION_FAILED and the logged reason, STUCK,
 * NO_ANSWER, WAIT_TIME or INTERRUPTED.
 */
export async function waitForOperation(
  session: Session,
  leader: MongoClient,
  operation: WaitedOperation,
  { deadline, ended = async () => false }: OperationWait = {},
): Promise<void> {
  const { opid, title, event } = operation
  const hint = `See pbm logs -e ${event} -i ${opid} -t 0.`
  const replsets = operation.replsets ?? [await session.leaderReplset()]
  const giveUp = session.clock.now() + TAKE_UP_MS
  let taken = false
  let looksLeft = LAST_LOOKS
  let suspect: LockDocument | undefined
  await poll(
    async () => {
      const [locks, recorded, errors] = await Promise.all([
        locksOf(leader, opid),
        Promise.all(replsets.map((replset) => hasOperation(leader, opid, replset))),
        operationErrors(leader, opid),
      ])
      if (errors[0] !== undefined) {
        await locksReleased(session, leader, opid)
        throw notBegun('OPERATION_FAILED', `the ${title}`, errors[0].msg, hint)
      }
      if (await ended()) return true
      const now = await clusterTime(leader)
      const dead = locks.find(({ hb }) => isStale(hb, now))
      if (dead !== undefined) throw lost(title, dead)
      if (locks.length === 0 && suspect !== undefined) {
        // A slow agent may have given it back: then its log says how it ended, or will in a moment.
        if (await endedWell(leader, opid)) return true
        looksLeft -= 1
        if (looksLeft > 0) return undefined
        throw lost(title, suspect)
      }
      suspect = locks.find(({ hb }) => now.t - hb.t >= SUSPICIOUS_SECONDS)
      taken ||= recorded.every(Boolean)
      if (taken) {
        if (locks.length > 0) return undefined
        looksLeft -= 1
        return looksLeft > 0 ? undefined : true
      }
      if (session.clock.now() > giveUp)
        throw new PbmError('NO_ANSWER', `no agent took up the ${title} within ${TAKE_UP_MS / 1000} s`, {
          hint: 'See pbm status for the agents, and pbm logs -s D for what they say.',
        })
      return undefined
    },
    {
      clock: session.clock,
      signal: session.signal,
      deadline,
      onDeadline: () =>
        new PbmError('WAIT_TIME', `the wait time is over, and the ${title} still runs`, {
          hint: `It goes on. ${hint}`,
        }),
      onInterrupt: () => new PbmError('INTERRUPTED', `stopped waiting; the ${title} goes on`, { hint }),
    },
  )
}

async function locksOf(leader: MongoClient, opid: string): Promise<LockDocument[]> {
  return (await Promise.all([listLocks(leader, { opid }), listBesideLocks(leader, { opid })])).flat()
}
