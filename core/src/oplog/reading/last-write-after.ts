import type { MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../../errors.js'
import type { OperationLog } from '../../log.js'
import { isMajorityAt, type WrittenTime } from '../../mongo/causal.js'
import type { Clock } from '../../time/clock.js'
import { lastReadableWrite } from './window.js'

/** How long a member may stand still before it is given up: longer than an election, and than the 10 s of an idle primary. */
const STILL_MS = 60_000
const LOOK_MS = 2_000

export interface MemberWait {
  /** `host:port` of the member, for messages. */
  readonly member: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly log: OperationLog
}

/**
 * The last majority write of a member as soon as it is no earlier than `time`. It waits for one that is behind as long as
 * that catches up; throws MEMBER_BEHIND when it stands still for a minute, and the signal's reason.
 */
export async function lastWriteAfter(
  node: MongoClient,
  time: WrittenTime,
  { member, clock, signal, log }: MemberWait,
): Promise<Timestamp> {
  let last = await lastReadableWrite(node)
  let moved = clock.now()
  let told = false
  while (!(await isMajorityAt(node, time, LOOK_MS))) {
    signal.throwIfAborted()
    const now = await lastReadableWrite(node)
    if (now.greaterThan(last)) [last, moved] = [now, clock.now()]
    const behind = `it is ${Math.max(0, time.operation.t - now.t)} s behind`
    if (clock.now() - moved > STILL_MS) {
      const hint = 'Look into rs.status(): does the member replicate, and is a majority of its replica set well?'
      throw new PbmError('MEMBER_BEHIND', `${member} does not get what was written before: ${behind}`, { hint })
    }
    if (!told) log.info(`waiting until ${member} has all that was written before: ${behind}`)
    told = true
  }
  return lastReadableWrite(node)
}
