import assert from 'node:assert/strict'
import { bucketsOf, isBuckets, userName } from './time-series.js'

describe('the names of a time series', () => {
  it('lead from one to the other, dots in them included', () => {
    for (const ns of ['shop.weather', 'shop.a.b', 'shop.system.js']) {
      assert.equal(userName(bucketsOf(ns)), ns)
      assert.equal(userName(ns), ns)
      assert.deepEqual([isBuckets(ns), isBuckets(bucketsOf(ns))], [false, true])
    }
    assert.equal(bucketsOf('shop.a.b'), 'shop.system.buckets.a.b')
  })

  it('are not those of a collection that has the words further on', () => {
    assert.equal(isBuckets('shop.a.system.buckets.b'), false)
    assert.equal(userName('shop.a.system.buckets.b'), 'shop.a.system.buckets.b')
  })
})
