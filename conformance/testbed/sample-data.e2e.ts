import assert from 'node:assert/strict'
import {
  compareStates,
  type DatabaseState,
  loadSampleData,
  ODD_NAMES,
  type ReplicaSet,
  snapshotState,
  startReplicaSet,
} from './index.js'

describe('sample data', () => {
  let set: ReplicaSet
  let state: DatabaseState

  before(async () => {
    set = await startReplicaSet()
    await loadSampleData(await set.client(), { scale: 0.1, largeDocument: true })
    state = await snapshotState(await set.client())
  })
  after(() => set.stop())

  it('reads as the same state twice', async () => {
    assert.deepEqual(compareStates(state, await snapshotState(await set.client())), [])
  })

  it('has what is hard to bring back', () => {
    const { shop, odd, bulk } = state.dbs
    const index = (name: string) => shop?.orders?.indexes?.find((spec) => spec.name === name)
    assert.equal(index('hid')?.hidden, true)
    assert.equal(index('prepared')?.prepareUnique, true)
    assert.deepEqual(index('hashed')?.key, { _id: 'hashed' })
    assert.equal(shop?.weather?.type, 'timeseries')
    assert.equal(shop?.recent?.type, 'view')
    assert.deepEqual(Object.keys(odd ?? {}).toSorted(), ODD_NAMES.toSorted())
    assert.deepEqual(bulk?.largest?.count, { $numberInt: '1' })
    assert.equal(state.roles.length, 2)
    assert.equal(state.users.length, 3)
  })

  it('notices the smallest change', async () => {
    const client = await set.client()
    await client.db('shop').command({ collMod: 'orders', index: { name: 'hid', hidden: false } })
    await client
      .db('types')
      .collection('all')
      .updateOne({ _id: 'int32' as never }, { $set: { 'value.0': 1 } })
    const [documents, hidden, ...others] = compareStates(state, await snapshotState(client))
      .toSorted()
      .toReversed()
    assert.match(documents ?? '', /^types\.all: documents/)
    assert.equal(hidden, 'shop.orders: index hid: hidden true became nothing')
    assert.deepEqual(others, [])
  })
})
