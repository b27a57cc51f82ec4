import assert from 'node:assert/strict'
import { assert as check, property, string } from 'fast-check'
import { blobKeys, escaped, unescaped } from './names.js'

describe('names of blobs', () => {
  for (const [name, key] of [
    ['shop.orders.s2', 'shop.orders.s2'],
    ['a%2Fb', 'a%2Fb'],
    ['100%', '100%'],
    ['é/🍃', 'é/🍃'],
    ['a\\b', 'a%5Cb'],
    ['a\u0001b\n', 'a%01b%0A'],
    ['a%5Cb', 'a%255Cb'],
    ['%25', '%2525'],
    ['%\\', '%%5C'],
  ] as const) {
    it(`are ${key} for ${JSON.stringify(name)}`, () => {
      assert.equal(escaped(name), key)
      assert.equal(unescaped(key), name)
    })
  }

  it('lead back to the name, whatever it is, and hold nothing that a listing can not tell', () => {
    const unit = ['%', '2', '5', 'C', '0', '1', '7', 'F', '\\', '\u0001', '\u007f', 'x', '/']
    check(
      property(string(), (text) => {
        const name = [...text].map((each) => unit[(each.codePointAt(0) ?? 0) % unit.length]).join('')
        assert.equal(unescaped(escaped(name)), name)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
        assert.doesNotMatch(escaped(name), /[\u0001-\u001f\u007f\\]/)
      }),
      { numRuns: 2000 },
    )
  })

  it('are found by every prefix of the name', () => {
    const keys = blobKeys('folder')
    for (const name of ['a%5Cb', 'a\\b', '%25x', '%2525', 'a\u0001']) {
      const key = keys.keyOf(name)
      assert.equal(keys.nameOf(key), name)
      for (let length = 0; length <= name.length; length++)
        assert.ok(key.startsWith(keys.keyPrefixOf(name.slice(0, length)) ?? 'none'), `${name} to ${length}`)
    }
  })
})
