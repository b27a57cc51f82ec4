import assert from 'node:assert/strict'
import { suggest } from './suggest.js'

describe('names like the one given', () => {
  it('puts the closest first', () => {
    const names = ['2031-02-03T04:05:06Z', '2031-02-03T04:15:06Z', '2031-12-31T23:59:59Z']
    assert.deepEqual(suggest('2031-02-03T04:05:07Z', names).slice(0, 2), names.slice(0, 2))
    assert.deepEqual(suggest('2031-02-03', names), names.slice(0, 2).reverse())
    assert.deepEqual(suggest('x', names), [])
  })
})
