import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import { listNamespaces } from './namespaces.js'

describe('what a backup dumps', function () {
  this.timeout(60_000)
  let set: ReplicaSet
  let node: MongoClient

  before(async () => {
    set = await startReplicaSet()
    node = await set.client()
  })
  after(() => set?.stop())

  it('never lacks buckets without a word, unless they are not chosen', async () => {
    const timeseries = { timeField: 't', bucketMaxSpanSeconds: 3600 }
    await node.db('lost').command({ create: 'system.buckets.alone', clusteredIndex: true, timeseries })
    for (const nss of [undefined, ['lost.*'], ['lost.alone']]) {
      const message = /lost\.system\.buckets\.alone is here without/
      await assert.rejects(listNamespaces({ node, primary: node }, { nss }), { code: 'BUCKETS_ALONE', message })
    }
    assert.deepEqual(await listNamespaces({ node, primary: node }, { nss: ['lost.other'] }), [])
  })
})
