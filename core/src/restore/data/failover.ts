import type { MongoClient, ObjectId } from 'mongodb'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { awaitMajority } from '../../mongo/raw-write.js'
import { hello } from '../../mongo/topology.js'
import type { DeadlineGuard } from '../../time/deadline-guard.js'
import { untilAborted } from '../../time/until-aborted.js'

const TOLD_AFTER_MS = 2_000

/** Of the time in which this node is the primary without a break; undefined while it is none. */
export async function electionOf(client: MongoClient): Promise<string | undefined> {
  return ((await hello(client)).electionId as ObjectId | undefined)?.toHexString()
}

/**
 * Waits until the majority has all that was written since `election` began. What was written without waiting is lost when
 * the server dies or is rolled back, and who has no command under way at that moment is not told: rejects with
 * PRIMARY_CHANGED then. Rejects as well when the guard's signal aborts.
 */
export async function awaitMajoritySince(
  client: MongoClient,
  election: string | undefined,
  { guard, log }: { readonly guard: DeadlineGuard; readonly log: OperationLog },
): Promise<void> {
  const text =
    'waiting until a majority of the replica set has what was written: are enough members up, and not behind?'
  const slow = setTimeout(() => log.info(text), TOLD_AFTER_MS)
  try {
    await untilAborted(awaitMajority(client), guard.signal)
  } finally {
    clearTimeout(slow)
  }
  if (election !== undefined && election === (await electionOf(client))) return
  throw new PbmError(
    'PRIMARY_CHANGED',
    'the primary was restarted or elected anew meanwhile: what it had just written may be lost',
  )
}
