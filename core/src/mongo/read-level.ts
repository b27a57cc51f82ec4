import type { MongoClient } from 'mongodb'

/**
 * How this client reads: by majority, unless its URI says that the replica set has to go on without one
 * (`w=1&readConcernLevel=local`).
 */
export function readLevelOf(client: MongoClient): 'majority' | 'local' {
  return client.readConcern?.level === 'local' ? 'local' : 'majority'
}
