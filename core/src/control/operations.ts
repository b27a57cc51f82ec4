import { type MongoClient, ObjectId } from 'mongodb'
import { headerDocument, type LockHeader } from './locks.js'
import { CONTROL_DATABASE, OPERATIONS } from './names.js'
import { isDuplicateKey } from './wire.js'

/**
 * Notes that an operation begins on a replica set. False when it did before: by another node, or by this one before a
 * restart. The unique index on (opid, replset) is what makes each operation run once (PBM: control-plane.md §3).
 */
export async function recordOperation(leader: MongoClient, header: LockHeader): Promise<boolean> {
  const operations = leader.db(CONTROL_DATABASE).collection(OPERATIONS)
  const _id = new ObjectId()
  try {
    await operations.insertOne({ _id, ...headerDocument(header) })
    return true
  } catch (error) {
    if (!isDuplicateKey(error)) throw error
    // A retry of our own insert, whose first answer was lost, meets itself.
    return (await operations.findOne({ opid: header.opid, replset: header.replset }))?._id.equals(_id) === true
  }
}

/** Whether the operation has begun on the replica set. */
export async function hasOperation(leader: MongoClient, opid: string, replset: string): Promise<boolean> {
  const found = await leader
    .db(CONTROL_DATABASE)
    .collection(OPERATIONS)
    .findOne({ opid, replset }, { projection: { _id: 1 } })
  return found !== null
}
