import type { MongoClient, Timestamp } from 'mongodb'
import { gossipClusterTime, signedClusterTime, type WrittenTime } from '../mongo/causal.js'
import { lastWriteAfter, type MemberWait } from '../oplog/reading/last-write-after.js'

/*
 * A backup holds all that was acknowledged before its command, whichever member makes it and however far that one is
 * behind; and the end of a sharded backup is one cluster time, the earliest of the ends of all replica sets. A restore is
 * exact at it if no dump holds anything later. PBM trusts that no member is behind, and that every shard writes something
 * all the time; an idle one has its last write long before the others have ended their dumps. Here time itself is passed
 * on: from each dump and each primary to the config servers, and from there, when all dumps have ended, back to each shard.
 */

/**
 * After a dump, before this is told: what the leader replica set writes from now on is later than all in the dump, and
 * than what the primary had written when the backup began.
 */
export async function passTimeToLeader(node: MongoClient, leader: MongoClient, begun: WrittenTime): Promise<void> {
  await gossipClusterTime(leader, begun.cluster)
  await gossipClusterTime(leader, await signedClusterTime(node))
}

/**
 * When all dumps have ended: lets this replica set write beyond the leader's time, and gives its last write, which is
 * later than everything in any of the dumps.
 */
export async function endAfterAllDumps(node: MongoClient, leader: MongoClient, wait: MemberWait): Promise<Timestamp> {
  const cluster = await signedClusterTime(leader)
  return lastWriteAfter(node, { operation: cluster.clusterTime, cluster }, wait)
}
