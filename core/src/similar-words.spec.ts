import assert from 'node:assert/strict'
import fc from 'fast-check'
import { editDistance } from './similar-words.js'

describe('the distance of two words', () => {
  it('is the same both ways, and zero only between equals', () => {
    const text = fc.string({ maxLength: 12 })
    fc.assert(
      fc.property(text, text, (a, b) => {
        assert.equal(editDistance(a, b), editDistance(b, a))
        assert.equal(editDistance(a, b) === 0, a === b)
      }),
    )
  })
})
