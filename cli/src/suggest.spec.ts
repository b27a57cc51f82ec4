import assert from 'node:assert/strict'
import fc from 'fast-check'
import { editDistance, suggest } from './suggest.js'

describe('names like the one given', () => {
  it('puts the closest first', () => {
    const names = ['2031-02-03T04:05:06Z', '2031-02-03T04:15:06Z', '2031-12-31T23:59:59Z']
    assert.deepEqual(suggest('2031-02-03T04:05:07Z', names).slice(0, 2), names.slice(0, 2))
    assert.deepEqual(suggest('2031-02-03', names), names.slice(0, 2).reverse())
    assert.deepEqual(suggest('x', names), [])
  })

  it('measures symmetrically, and zero only between equals', () => {
    const text = fc.string({ maxLength: 12 })
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a))
        assert.equal(editDistance(a, b) === 0, a === b)
      }),
    )
  })
})
