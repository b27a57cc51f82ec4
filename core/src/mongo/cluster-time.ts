import { type ClientSession, type MongoClient, Timestamp } from 'mongodb'
import { PbmError } from '../errors.js'
import { CONTROL_DATABASE, LOCKS } from './control-names.js'

/** Seconds without a heartbeat after which its owner counts as dead (PBM: control-plane.md, Terms). */
export const STALE_SECONDS = 30

/**
 * The cluster time as the server knows it now. A throw-away read forces the server to move it on, as in PBM; the reply
 * carries it. Throws CLUSTER_TIME_MISSING from a server that is no replica-set member.
 */
export async function clusterTime(client: MongoClient): Promise<Timestamp> {
  // Not `db.command`, which the driver does not retry: an election would fail whoever asks for the time.
  return client.withSession(async (session) => {
    await client
      .db(CONTROL_DATABASE)
      .collection(LOCKS)
      .findOne({}, { session, projection: { _id: 1 } })
    return timeOfSession(client, session)
  })
}

/**
 * The cluster time of what a session has read. A server that has just started can't sign it yet, and tells it only users
 * who may set it; what it knows is its newest write then.
 */
export async function timeOfSession(client: MongoClient, session: ClientSession): Promise<Timestamp> {
  const { clusterTime: $clusterTime, operationTime } = session
  if ($clusterTime !== undefined || operationTime !== undefined) return clusterTimeOf({ $clusterTime, operationTime })
  return clusterTimeOf(await client.db('admin').command({ hello: 1 }))
}

/** The cluster time that came with a reply, or the newest write that a `hello` tells. */
export function clusterTimeOf(reply: object): Timestamp {
  const { $clusterTime, operationTime, lastWrite } = reply as {
    $clusterTime?: { clusterTime?: Timestamp }
    operationTime?: Timestamp
    lastWrite?: { opTime?: { ts?: Timestamp } }
  }
  const time = $clusterTime?.clusterTime ?? operationTime ?? lastWrite?.opTime?.ts
  if (!(time instanceof Timestamp)) {
    throw new PbmError('CLUSTER_TIME_MISSING', 'the server tells no cluster time', {
      hint: 'Connect to a member of a replica set',
    })
  }
  return time
}

/** Whether a heartbeat is too old at `now`. Exactly 30 s is still alive (PBM: control-plane.md, Terms). */
export function isStale(heartbeat: Timestamp, now: Timestamp): boolean {
  return secondsOf(heartbeat) + STALE_SECONDS < secondsOf(now)
}

/** The seconds half of a BSON timestamp. */
export function secondsOf(timestamp: Timestamp): number {
  return timestamp.getHighBitsUnsigned()
}
