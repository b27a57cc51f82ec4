import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isPrintable, printable, printableJson, printableLine, textOf } from './printable.js'

const HOSTILE = '\u001b[2J\u009b31m\u0007\r\u007f\u202e\u2028'

describe('Text for a terminal', () => {
  it('is made of anything', () => {
    const odd = [{ toString: 1, valueOf: 1 }, Object.create(null) as unknown, Symbol('a'), null, undefined, 1n, []]
    for (const value of odd) assert.equal(typeof textOf(value), 'string')
    assert.equal(textOf('a\n'), 'a\n')
  })

  it('has nothing that moves, hides or turns', () => {
    assert.equal(printable(`a${HOSTILE}b\n\tc`), 'a\\x1b[2J\\x9b31m\\x07\\x0d\\x7f\\u202e\\u2028b\n\tc')
    assert.equal(printableLine('a\nb'), 'a\\nb')
  })

  it('is as it was where it has none of that', () => {
    for (const text of ['', 'shop.örders', '2031-02-03T04:05:06Z', '日本 👩‍👩‍👧 é']) {
      assert.equal(printable(text), text)
      assert.ok(isPrintable(text))
    }
    for (const text of ['a\nb', 'a\tb', '\u001b', '\u202etxt']) assert.equal(isPrintable(text), false)
  })

  it('is the same JSON', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom(...HOSTILE))), (value) => {
        const json = printableJson(JSON.stringify(value, undefined, 2))
        assert.deepEqual(JSON.parse(json), value)
        assert.equal(printable(json), json)
      }),
    )
  })
})
