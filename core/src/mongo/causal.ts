import type { ClusterTime, MongoClient } from 'mongodb'
import { PbmError } from '../errors.js'
import { CONTROL_DATABASE, LOCKS } from './control-names.js'
import { readLevelOf } from './read-level.js'

/** Longer than an election, and than the ten seconds after which an idle primary writes by itself. */
const WAIT_MILLIS = 60_000

/**
 * Cluster time as this server knows it, with its signature: servers of one cluster take it from each other's clients.
 * Throws CLUSTER_TIME_MISSING from a server that is no replica-set member.
 */
export async function signedClusterTime(client: MongoClient): Promise<ClusterTime> {
  return client.withSession(async (session) => {
    const locks = client.db(CONTROL_DATABASE).collection(LOCKS, { readConcern: { level: 'local' } })
    await locks.findOne({}, { session, projection: { _id: 1 }, readPreference: 'primaryPreferred' })
    if (session.clusterTime !== undefined) return session.clusterTime
    throw new PbmError('CLUSTER_TIME_MISSING', 'the server tells no cluster time', {
      hint: 'Connect to a member of a replica set',
    })
  })
}

/** Tells a server what time it is elsewhere in the cluster: whatever its replica set writes from now on is later. */
export async function tellClusterTime(client: MongoClient, time: ClusterTime): Promise<void> {
  await client.withSession(async (session) => {
    session.advanceClusterTime(time)
    await client.db('admin').command({ ping: 1 }, { session, readPreference: 'primaryPreferred' })
  })
}

/**
 * Resolves when a majority of the member's replica set has all up to `time`. A member of a sharded cluster that is behind
 * makes its primary write a no-op for it, so that an idle shard does not keep anybody waiting.
 */
export async function awaitMajorityAt(client: MongoClient, time: ClusterTime): Promise<void> {
  await client.withSession({ causalConsistency: false }, async (session) => {
    session.advanceClusterTime(time)
    await client.db(CONTROL_DATABASE).command(
      {
        find: LOCKS,
        limit: 1,
        singleBatch: true,
        readConcern: { level: readLevelOf(client), afterClusterTime: time.clusterTime },
        maxTimeMS: WAIT_MILLIS,
      },
      { session, readPreference: 'primaryPreferred' },
    )
  })
}
