import { type ClusterTime, type MongoClient, MongoServerError, type Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { CONTROL_DATABASE, LOCKS } from './control-names.js'
import { readLevelOf } from './read-level.js'

const TIME_LIMIT_EXCEEDED = 50

/**
 * Cluster time as this server knows it, with its signature: servers of one cluster take it from each other's clients.
 * Throws CLUSTER_TIME_MISSING from a server that is no replica-set member.
 */
export async function signedClusterTime(client: MongoClient): Promise<ClusterTime> {
  return client.withSession(async (session) => {
    const locks = client.db(CONTROL_DATABASE).collection(LOCKS, { readConcern: { level: 'local' } })
    await locks.findOne({}, { session, projection: { _id: 1 }, readPreference: 'primaryPreferred' })
    if (session.clusterTime !== undefined) return session.clusterTime
    throw missing()
  })
}

/** Tells a server what time it is elsewhere in the cluster: whatever its replica set writes from now on is later. */
export async function gossipClusterTime(client: MongoClient, time: ClusterTime): Promise<void> {
  await client.withSession(async (session) => {
    session.advanceClusterTime(time)
    await client.db('admin').command({ ping: 1 }, { session, readPreference: 'primaryPreferred' })
  })
}

/** A moment in a replica set: the last operation of a member of it, with the cluster time that lets others know of it. */
export interface WrittenTime {
  readonly operation: Timestamp
  readonly cluster: ClusterTime
}

/**
 * What a replica set has written by now: everything that its primary has acknowledged to anybody is no later. Throws
 * CLUSTER_TIME_MISSING from a server that is no replica-set member.
 */
export async function writtenByNow(primary: MongoClient): Promise<WrittenTime> {
  return primary.withSession(async (session) => {
    const locks = primary.db(CONTROL_DATABASE).collection(LOCKS, { readConcern: { level: 'local' } })
    await locks.findOne({}, { session, projection: { _id: 1 }, readPreference: 'primary' })
    if (session.clusterTime === undefined || session.operationTime === undefined) throw missing()
    return { operation: session.operationTime, cluster: session.clusterTime }
  })
}

/**
 * Whether, within `waitMs`, this member knows that a majority of its replica set has all up to `time`. A member of a
 * sharded cluster that is behind makes its primary write a no-op for it, so that an idle shard keeps nobody waiting.
 */
export async function isMajorityAt(
  client: MongoClient,
  { operation, cluster }: WrittenTime,
  waitMs: number,
): Promise<boolean> {
  return client.withSession({ causalConsistency: false }, async (session) => {
    session.advanceClusterTime(cluster)
    const read = {
      find: LOCKS,
      limit: 1,
      singleBatch: true,
      readConcern: { level: readLevelOf(client), afterClusterTime: operation },
      maxTimeMS: waitMs,
    }
    try {
      await client.db(CONTROL_DATABASE).command(read, { session, readPreference: 'primaryPreferred' })
      return true
    } catch (error) {
      if (error instanceof MongoServerError && error.code === TIME_LIMIT_EXCEEDED) return false
      throw error
    }
  })
}

function missing(): PbmError {
  return new PbmError('CLUSTER_TIME_MISSING', 'the server tells no cluster time', {
    hint: 'Connect to a member of a replica set',
  })
}
