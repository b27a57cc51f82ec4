import assert from 'node:assert/strict'
import { hasCode } from '../plugin/errors.js'
import { keysBelow } from './object-key.js'

describe('keys of objects', () => {
  for (const [prefix, key] of [
    [undefined, 'a/b'],
    ['', 'a/b'],
    ['x', 'x/a/b'],
    ['x/', 'x/a/b'],
    ['x//y/', 'x/y/a/b'],
    ['/x', '/x/a/b'],
    ['.', 'a/b'],
  ] as const) {
    it(`are joined with the prefix ${JSON.stringify(prefix)} as PBM does it`, () => {
      const keys = keysBelow(prefix, 'storage.x.prefix')
      assert.equal(keys.keyOf('a/b'), key)
      assert.equal(keys.nameOf(key), 'a/b')
    })
  }

  it('count the prefix into the 1,024 bytes of a key', () => {
    const keys = keysBelow('prefix', 'storage.x.prefix')
    keys.keyOf('n'.repeat(1017))
    assert.throws(
      () => keys.keyOf('n'.repeat(1018)),
      (error) => hasCode(error, 'STORAGE_INVALID_NAME'),
    )
  })

  it('know segments a server can not keep', () => {
    const keys = keysBelow('', 'storage.x.prefix', 255)
    keys.keyOf('n'.repeat(255))
    assert.throws(
      () => keys.keyOf('n'.repeat(256)),
      (error) => hasCode(error, 'STORAGE_INVALID_NAME'),
    )
  })

  it('of others are no objects: markers of folders, other prefixes', () => {
    const keys = keysBelow('x', 'storage.x.prefix')
    for (const key of ['x/', 'x', 'x/folder/', 'xy/a', 'x//a', 'x/../a']) assert.equal(keys.nameOf(key), undefined, key)
  })

  it('ask for no prefix that no name begins with, and none that servers refuse', () => {
    const keys = keysBelow('x', 'storage.x.prefix')
    for (const prefix of ['/', 'a//', './a', '../', 'a/../']) assert.equal(keys.keyPrefixOf(prefix), undefined, prefix)
    assert.equal(keys.keyPrefixOf(''), 'x/')
    assert.equal(keys.keyPrefixOf('a/b'), 'x/a/b')
    assert.equal(keys.keyPrefixOf('a/..'), 'x/a/')
    assert.equal(keys.keyPrefixOf('.'), 'x/')
    assert.equal(keys.keyPrefixOf('a.'), 'x/a.')
    assert.equal(keys.keyPrefixOf('a\ud83c'), 'x/a')
  })
})
