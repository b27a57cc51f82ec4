import type { MongoClient, UUID } from 'mongodb'
import { PbmError } from '../../errors.js'
import { collectionOf, databaseOf } from '../../oplog/entry.js'

/**
 * Throws `NAMESPACE_INCOMPLETE` where the routing tables give the shard a part of a time series that it has not got: earlier
 * backups of ours lacked the buckets on all shards but the primary shard of the database.
 */
export async function refuseLostBuckets(client: MongoClient, leader: MongoClient, shardId: string): Promise<void> {
  const config = leader.db('config')
  const routed = config.collection<{ _id: string; uuid: UUID }>('collections').find({ _id: /\.system\.buckets\./ })
  for await (const { _id: ns, uuid } of routed) {
    if ((await config.collection('chunks').findOne({ uuid, shard: shardId })) === null) continue
    const found = client.db(databaseOf(ns)).listCollections({ name: collectionOf(ns) }, { nameOnly: true })
    if (await found.hasNext()) continue
    throw new PbmError('NAMESPACE_INCOMPLETE', `The backup lacks what ${ns} had on shard ${shardId}`, {
      hint: 'All else is restored. Restore from a backup that was made later.',
    })
  }
}
