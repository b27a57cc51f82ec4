import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import { UUID } from 'mongodb'
import { refuseLostBuckets } from './lost-buckets.js'

describe('a shard after a restore', function () {
  this.timeout(60_000)
  let set: ReplicaSet

  before(async () => {
    set = await startReplicaSet()
  })
  after(() => set?.stop())

  it('has the buckets that the routing tables give it', async () => {
    const client = await set.client()
    const config = client.db('config')
    const uuid = new UUID()
    const _id = 'bank.system.buckets.rates'
    await config.collection<{ _id: string; uuid: UUID }>('collections').insertOne({ _id, uuid })
    await config.collection('chunks').insertOne({ uuid, shard: 's2' })
    await refuseLostBuckets(client, client, 's1')
    const message = /lacks what bank\.system\.buckets\.rates had on shard s2/
    await assert.rejects(refuseLostBuckets(client, client, 's2'), { code: 'NAMESPACE_INCOMPLETE', message })
    await client.db('bank').createCollection('rates', { timeseries: { timeField: 't' } })
    await refuseLostBuckets(client, client, 's2')
  })
})
