import assert from 'node:assert/strict'
import { checkedSelection, Selection } from './selection.js'

describe('Selection', () => {
  it('has collections by name, databases as a whole, and buckets with their time series', () => {
    const selection = checkedSelection(['shop.orders', 'blog.*', 'shop.a.b', 'shop.orders'])
    assert.ok(selection)
    assert.deepEqual(selection.entries, ['shop.orders', 'blog.*', 'shop.a.b'])
    for (const ns of ['shop.orders', 'shop.system.buckets.orders', 'blog.posts', 'blog.system.js', 'shop.a.b']) {
      assert.ok(selection.has(ns), ns)
    }
    for (const ns of ['shop.order', 'shop.a', 'blogs.posts', 'shop.ORDERS']) assert.ok(!selection.has(ns), ns)
  })

  it('is none where everything is meant', () => {
    for (const entries of [undefined, [], ['*.*'], ['a.b', '*.*']]) assert.equal(Selection.of(entries), undefined)
    assert.equal(checkedSelection(['*.*']), undefined)
  })

  it('says what of another one it lacks', () => {
    const [own, other] = [Selection.of(['a.*', 'b.c']), Selection.of(['a.x', 'a.*', 'b.c', 'b.d', 'b.*'])]
    assert.ok(own && other)
    assert.deepEqual(own.lacks(other), ['b.d', 'b.*'])
  })

  const wrong: [string[], RegExp][] = [
    [['shop'], /no namespace/],
    [['.a'], /no namespace/],
    [['a.'], /no namespace/],
    [['*.a'], /\* stands only/],
    [['a.b*'], /\* stands only/],
    [['admin.x'], /database admin/],
    [['config.*'], /database config/],
    [['a.system.js'], /system collections/],
    [['a.b', '*.*'], /nothing else/],
    [['a.b', 'a.*'], /a\.\* has a\.b already/],
  ]
  for (const [entries, message] of wrong) {
    it(`refuses ${entries.join()}`, () => {
      assert.throws(() => checkedSelection(entries), { code: 'NAMESPACE_INVALID', message })
    })
  }

  it('takes users and roles with whole databases only', () => {
    assert.throws(() => checkedSelection(['a.b'], true), { code: 'NAMESPACE_INVALID', message: /whole databases/ })
    assert.throws(() => checkedSelection([], true), { code: 'NAMESPACE_INVALID', message: /chosen databases/ })
    assert.ok(checkedSelection(['a.*'], true))
  })
})
