import assert from 'node:assert/strict'
import { Renaming } from './renaming.js'

describe('Renaming', () => {
  it('knows the new name of collections, and of all in a database', () => {
    const renaming = Renaming.of([
      { from: 'shop.a.b', to: 'old.c' },
      { from: 'blog.*', to: 'blog_friday.*' },
    ])
    assert.deepEqual(renaming.selection.entries, ['shop.a.b', 'blog.*'])
    assert.equal(renaming.to('shop.a.b'), 'old.c')
    assert.equal(renaming.to('blog.posts.old'), 'blog_friday.posts.old')
    assert.equal(renaming.to('shop.a'), undefined)
  })

  const wrong: [[string, string][], RegExp][] = [
    [[['a.b', 'admin.x']], /database admin/],
    [[['a.b', 'x.system.js']], /system collections/],
    [[['a.*', 'x.y']], /can't become/],
    [[['a.b', 'x.*']], /can't become/],
    [[['a.b', 'a.b']], /its own name/],
    [[['*.*', '*.*']], /no other name/],
    [
      [
        ['a.b', 'x.y'],
        ['a.c', 'x.y'],
      ],
      /target of two/,
    ],
    [
      [
        ['a.b', 'x.y'],
        ['a.b', 'x.z'],
      ],
      /named twice/,
    ],
    [
      [
        ['a.b', 'x.y'],
        ['a.*', 'z.*'],
      ],
      /a\.\* has a\.b already/,
    ],
    [[['a.b', 'pbmkit_staging_0123456789abcdef01234567.z']], /would be dropped/],
    [[['a.*', 'pbmkit_staging_0123456789abcdef01234567.*']], /would be dropped/],
    [[['a.b', 'x y.z']], /name of a database/],
    [[['a.b', `x.${'y'.repeat(260)}`]], /longer than/],
    [[['a.b', 'x.$y']], /name of a collection/],
  ]
  for (const [pairs, message] of wrong) {
    it(`refuses ${pairs.map(([from, to]) => `${from} to ${to.slice(0, 20)}`).join(', ')}`, () => {
      const asked = pairs.map(([from, to]) => ({ from, to }))
      assert.throws(() => Renaming.of(asked), { code: 'NAMESPACE_INVALID', message })
    })
  }
})
