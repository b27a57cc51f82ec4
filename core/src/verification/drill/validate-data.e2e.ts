import assert from 'node:assert/strict'
import { type Standalone, startStandalone } from '@pbmkit/conformance/testbed'
import { validateData } from './validate-data.js'

describe('the validation of restored data', () => {
  let server: Standalone
  before(async () => {
    server = await startStandalone({ mongodArgs: ['--setParameter', 'enableTestCommands=1'] })
  })
  after(() => server.stop())

  it('finds a document that is missing in an index, in any collection', async () => {
    const client = await server.client()
    const shop = client.db('shop')
    await shop.createCollection('days', { timeseries: { timeField: 'at' } })
    await shop.collection('days').insertOne({ at: new Date() })
    await shop.createCollection('recent', { viewOn: 'orders' })
    await shop.collection('orders').createIndex({ a: 1 })
    await shop.collection('orders').insertOne({ a: 1 })
    await shop.createCollection('strict', { validator: { a: { $gt: 0 } } })
    await shop.collection('strict').insertOne({ a: 0 }, { bypassDocumentValidation: true })
    const { signal } = new AbortController()
    const good = await validateData(client, signal)
    // The one of time series has an index of its own from MongoDB 6.3 on.
    const { indexes, ...counted } = good
    assert.deepEqual(counted, { collections: 3, documents: 3, invalid: [] })
    assert.ok(indexes >= 3)

    const fault = (mode: string) => client.db('admin').command({ configureFailPoint: 'skipIndexNewRecords', mode })
    await fault('alwaysOn')
    await shop.collection('orders').insertOne({ a: 2 })
    await fault('off')
    const {
      invalid: [invalid, ...more],
    } = await validateData(client, signal)
    assert.equal(invalid?.ns, 'shop.orders')
    assert.match(invalid.what, /index|missing/i)
    assert.deepEqual(more, [])
  })
})
