import type { MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import type { OperationLog } from '../log.js'
import { isMajorityAt, signedClusterTime, tellClusterTime, type WrittenTime } from '../mongo/causal.js'
import { majorityLastWrite } from '../oplog/reading/window.js'
import type { Clock } from '../time/clock.js'

/*
 * A backup holds all that was acknowledged before its command, whichever member makes it and however far that one is
 * behind; and the end of a sharded backup is one cluster time, the earliest of the ends of all replica sets. A restore is
 * exact at it if no dump holds anything later. PBM trusts that no member is behind, and that every shard writes something
 * all the time; an idle one has its last write long before the others have ended their dumps. Here time itself is passed
 * on: from each dump and each primary to the config servers, and from there, when all dumps have ended, back to each shard.
 */

/** How long a member may stand still before it is given up: longer than an election, and than the 10 s of an idle primary. */
const STILL_MILLIS = 60_000
const LOOK_MILLIS = 2_000

/**
 * After a dump, before this is told: what the leader replica set writes from now on is later than all in the dump, and
 * than what the primary had written when the backup began.
 */
export async function passTimeToLeader(node: MongoClient, leader: MongoClient, begun: WrittenTime): Promise<void> {
  await tellClusterTime(leader, begun.cluster)
  await tellClusterTime(leader, await signedClusterTime(node))
}

/**
 * When all dumps have ended: lets this replica set write beyond the leader's time, and gives its last write, which is
 * later than everything in any of the dumps.
 */
export async function endAfterAllDumps(node: MongoClient, leader: MongoClient, wait: MemberWait): Promise<Timestamp> {
  const cluster = await signedClusterTime(leader)
  return lastWriteAfter(node, { operation: cluster.clusterTime, cluster }, wait)
}

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
  let last = await majorityLastWrite(node)
  let moved = clock.now()
  let told = false
  while (!(await isMajorityAt(node, time, LOOK_MILLIS))) {
    signal.throwIfAborted()
    const now = await majorityLastWrite(node)
    if (now.greaterThan(last)) [last, moved] = [now, clock.now()]
    const behind = `it is ${Math.max(0, time.operation.t - now.t)} s behind`
    if (clock.now() - moved > STILL_MILLIS) {
      const hint = 'Look into rs.status(): does the member replicate, and is a majority of its replica set well?'
      throw new PbmError('MEMBER_BEHIND', `${member} does not get what was written before: ${behind}`, { hint })
    }
    if (!told) log.info(`waiting until ${member} has all that was written before: ${behind}`)
    told = true
  }
  return majorityLastWrite(node)
}
