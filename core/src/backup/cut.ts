import type { MongoClient, Timestamp } from 'mongodb'
import { awaitMajorityAt, signedClusterTime, tellClusterTime } from '../mongo/causal.js'
import { lastReadableWrite } from '../oplog/reading/window.js'

/*
 * The end of a sharded backup is one cluster time, the earliest of the ends of all replica sets. A restore is exact at it
 * if no dump holds anything later. PBM trusts that every shard writes something all the time; an idle one has its last
 * write long before the others have ended their dumps. Here time itself is passed on: from each dump to the config
 * servers, and from there, when all dumps have ended, back to each shard.
 */

/** After a dump, before this is told: what the leader replica set writes from now on is later than all in the dump. */
export async function passTimeToLeader(node: MongoClient, leader: MongoClient): Promise<void> {
  await tellClusterTime(leader, await signedClusterTime(node))
}

/**
 * When all dumps have ended: lets this replica set write beyond the leader's time, and gives its last write, which is
 * later than everything in any of the dumps.
 */
export async function endAfterAllDumps(node: MongoClient, leader: MongoClient): Promise<Timestamp> {
  await awaitMajorityAt(node, await signedClusterTime(leader))
  return lastReadableWrite(node)
}
