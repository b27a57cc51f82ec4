import assert from 'node:assert/strict'
import { UUID } from 'bson'
import { refuseBucketless } from './namespaces.js'

describe('refuseBucketless', () => {
  it('takes a time series whose data is in buckets, and every other collection', () => {
    refuseBucketless('shop', { name: 'sales', type: 'timeseries', uuid: undefined })
    refuseBucketless('shop', { name: 'orders', type: 'collection', uuid: new UUID() })
    refuseBucketless('shop', { name: 'open', type: 'view', uuid: undefined })
  })

  it('refuses a time series that has a UUID of its own, as from MongoDB 8.3 on', () => {
    const series = { name: 'sales', type: 'timeseries', uuid: new UUID() } as const
    assert.throws(() => refuseBucketless('shop', series), { code: 'SERIES_WITHOUT_BUCKETS', message: /shop\.sales/ })
  })
})
