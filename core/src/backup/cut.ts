import type { MongoClient, Timestamp } from 'mongodb'
import type { BackupDocument } from '../control/backup-document.js'
import { findBackup, isTimestampSet, setWriteTimestamps } from '../control/backups.js'
import { PbmError } from '../errors.js'
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

/** The cluster's first write is the latest of the replica sets', its last the earliest (PBM: control-plane.md §5.1). */
export async function setClusterTime(leader: MongoClient, name: string, which: 'first' | 'last'): Promise<void> {
  const document = await requireRecord(leader, name)
  const times = document.replsets.map((replset) => (which === 'first' ? replset.first_write_ts : replset.last_write_ts))
  const set = times.filter(isTimestampSet).sort((a, b) => a.compare(b))
  const chosen = which === 'first' ? set.at(-1) : set[0]
  if (chosen === undefined) throw new PbmError('OPERATION_GONE', `backup ${name} has no ${which} write`)
  await setWriteTimestamps(leader, name, which === 'first' ? { first: chosen } : { last: chosen })
}

/** Of copies of files: all of them get what leads to the latest (PBM: physical.md §2.3, step 5). */
export async function setLatestWrite(leader: MongoClient, name: string): Promise<void> {
  const { replsets } = await requireRecord(leader, name)
  const latest = replsets.map(({ last_write_ts }) => last_write_ts).reduce((a, b) => (b.greaterThan(a) ? b : a))
  await setWriteTimestamps(leader, name, { last: latest })
}

export async function lastWriteOf(leader: MongoClient, name: string): Promise<Timestamp> {
  return (await requireRecord(leader, name)).last_write_ts
}

/** Throws OPERATION_GONE. */
export async function requireRecord(leader: MongoClient, name: string): Promise<BackupDocument> {
  const document = await findBackup(leader, name)
  if (document === undefined) throw new PbmError('OPERATION_GONE', `the record of backup ${name} is gone`)
  return document
}
