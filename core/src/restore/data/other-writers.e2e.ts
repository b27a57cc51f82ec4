import assert from 'node:assert/strict'
import { type ReplicaSet, startReplicaSet } from '@pbmkit/conformance/testbed'
import type { MongoClient } from 'mongodb'
import type { NamespaceMetadata } from '../../archive/metadata.js'
import { raw } from '../../oplog/replay/oplog-entries.support.js'
import { deadlineGuard } from '../../time/deadline-guard.js'
import { createCollections, insertAll } from './collections.js'
import { OtherWriters } from './other-writers.js'

describe('Somebody who writes to what is being restored', () => {
  const guard = deadlineGuard(new AbortController().signal)
  let set: ReplicaSet
  let client: MongoClient

  before(async () => {
    set = await startReplicaSet()
    client = await set.client()
  })
  after(() => set?.stop())

  const items: NamespaceMetadata = {
    ...{ db: 'app', collection: 'items', collectionName: 'items', type: 'collection' },
    ...{ options: undefined, indexes: [], uuid: '11111111111141118111111111111111', crc: 0n, size: 1 },
  }
  const names = async () => (await client.db('app').listCollections().toArray()).map(({ name }) => name).sort()
  const snapshotOf = (documents: readonly Buffer[]) => ({
    toolVersion: '',
    namespaces: [items],
    oplog: [],
    readNamespaces: async (
      consume: (namespace: NamespaceMetadata, documents: AsyncIterable<Buffer>) => Promise<void>,
    ) => {
      await consume(items, each(documents))
    },
  })
  const inserting = { guard, width: 2, workers: 2, onProgress: () => undefined }
  const everything = { divert: async () => false, select: () => true }

  it('is found when it creates a collection, of which nothing is left', async () => {
    const app = client.db('app')
    // Of an earlier restore, which a backup may have by now.
    await app.createCollection('tmpabcde.create')
    const restoring = OtherWriters.watch(client, { namespaces: [items], guard }, async (others) => {
      await app.collection('items').insertOne({ by: 'an application' })
      await createCollections(client, [items], guard)
      await others.refuse()
    })
    await assert.rejects(restoring, { code: 'TARGET_WRITTEN', message: /app\.items \(1 documents\)/ })
    assert.deepEqual(await names(), ['items', 'tmpabcde.create'])
    const series = { ...items, collection: 'series', type: 'timeseries' as const, uuid: undefined }
    const options = raw({ timeseries: { timeField: 'at' } })
    await assert.rejects(
      OtherWriters.watch(client, { namespaces: [items], guard }, async () => {
        await app.createCollection('series')
        await createCollections(client, [{ ...series, options }], guard)
      }),
      { code: 'TARGET_WRITTEN' },
    )
  })

  it('is found when it inserts, and told from a document that the backup has twice', async () => {
    const own = client.db('app').collection<{ _id: number }>('items')
    const restore = () =>
      OtherWriters.watch(client, { namespaces: [items], guard }, async (others) => {
        const snapshot = snapshotOf([1, 2, 3, 1].map((_id) => raw({ _id })))
        await others.refuseOtherCounts([items], await insertAll(client, snapshot, { ...inserting, ...everything }))
      })
    await own.deleteMany({})
    await restore()
    assert.equal(await own.countDocuments(), 3)
    for (const _id of [2, 4]) {
      await own.deleteMany({})
      await own.insertOne({ _id })
      const message = new RegExp(`app\\.items has ${_id === 2 ? 3 : 4} documents instead of ${_id === 2 ? 2 : 3}`)
      await assert.rejects(restore(), { code: 'TARGET_WRITTEN', message })
    }
  })
})

async function* each(documents: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* documents
}
