import assert from 'node:assert/strict'
import { BSON, type Document } from 'bson'
import { type CatalogCollection, IndexCatalog } from './index-catalog.js'
import { bytes, COLLECTION, OTHER, raw } from './oplog-entries.support.js'

function indexed(): { catalog: IndexCatalog; orders: CatalogCollection } {
  const catalog = new IndexCatalog()
  const orders = catalog.create('shop.orders', bytes(COLLECTION), undefined)
  catalog.addIndex(orders, raw({ v: 2, key: { _id: 1 }, name: '_id_' }))
  catalog.addIndex(orders, raw({ v: 2, key: { _id: 'hashed' }, name: 'hashed' }))
  catalog.addIndex(orders, raw({ v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 5, ns: 'shop.orders' }))
  return { catalog, orders }
}

function specs(catalog: IndexCatalog): Record<string, Document[]> {
  return Object.fromEntries(catalog.wanted().map(({ ns, specs }) => [ns, specs.map((spec) => BSON.deserialize(spec))]))
}

function names(catalog: IndexCatalog): Record<string, string[]> {
  return Object.fromEntries(Object.entries(specs(catalog)).map(([ns, list]) => [ns, list.map(({ name }) => name)]))
}

describe('Index catalog', () => {
  it('leaves out what comes with the collection, and the namespace in old specs', () => {
    const { catalog } = indexed()
    assert.deepEqual(specs(catalog), {
      'shop.orders': [
        { v: 2, key: { _id: 'hashed' }, name: 'hashed' },
        { v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 5 },
      ],
    })
    const clustered = catalog.create('shop.clustered', bytes(OTHER), undefined)
    catalog.addIndex(clustered, raw({ v: 2, key: { _id: 1 }, name: 'mine', unique: true, clustered: true }))
    assert.deepEqual(Object.keys(specs(catalog)), ['shop.orders'])
    // As PBM's backups have it: without `clustered`, under a name of the user's.
    catalog.addIndex(clustered, raw({ v: 2, key: { _id: 1 }, name: 'mine', unique: true }))
    assert.deepEqual(Object.keys(specs(catalog)), ['shop.orders'])
  })

  it('keeps integer-like keys in their order', () => {
    const { catalog, orders } = indexed()
    const spec = Buffer.from(
      BSON.serialize({
        v: 2,
        key: new Map([
          ['b', 1],
          ['10', 1],
          ['2', -1],
        ]),
        name: 'numbers',
      }),
    )
    catalog.addIndex(orders, spec)
    assert.ok(catalog.wanted()[0]?.specs.some((wanted) => wanted.equals(spec)))
  })

  it('follows a rename, and the collection that it replaced is gone', () => {
    const { catalog, orders } = indexed()
    const target = catalog.create('shop.old', bytes(OTHER), undefined)
    catalog.addIndex(target, raw({ v: 2, key: { gone: 1 }, name: 'gone' }))
    catalog.rename(orders, 'shop.old')
    assert.deepEqual(names(catalog), { 'shop.old': ['hashed', 'at'] })
    assert.equal(catalog.find(bytes(OTHER), 'shop.old'), undefined)
    assert.equal(catalog.findByName('shop.orders'), undefined)
  })

  it('forgets the indexes of a dropped collection made again under the same name', () => {
    const { catalog, orders } = indexed()
    catalog.drop(orders)
    catalog.create('shop.orders', bytes(OTHER), undefined)
    assert.deepEqual(names(catalog), {})
  })

  it('drops a whole database only', () => {
    const { catalog } = indexed()
    const other = catalog.create('shop2.x', bytes(OTHER), undefined)
    catalog.addIndex(other, raw({ v: 2, key: { a: 1 }, name: 'a' }))
    catalog.dropDatabase('shop')
    assert.deepEqual(names(catalog), { 'shop2.x': ['a'] })
  })

  for (const [what, index, left] of [
    ['a name', 'at', ['hashed']],
    ['a list of names', ['at', 'nothing'], ['hashed']],
    ['a key pattern', { at: 1 }, ['hashed']],
    ['a key pattern of another order', { at: -1 }, ['hashed', 'at']],
  ] as const) {
    it(`drops indexes by ${what}`, () => {
      const { catalog, orders } = indexed()
      catalog.dropIndexes(orders, raw({ dropIndexes: 'orders', index }))
      assert.deepEqual(names(catalog), { 'shop.orders': left })
    })
  }

  it('drops all indexes by a star', () => {
    const { catalog, orders } = indexed()
    catalog.dropIndexes(orders, raw({ dropIndexes: 'orders', index: '*' }))
    assert.deepEqual(names(catalog), {})
  })

  it('changes an index as collMod does, and shows options only while they are on', () => {
    const { catalog, orders } = indexed()
    const at = () => specs(catalog)['shop.orders']?.find(({ name }) => name === 'at')
    catalog.modifyIndex(orders, raw({ name: 'at', expireAfterSeconds: 9, hidden: true }))
    assert.deepEqual(at(), { v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 9, hidden: true })
    catalog.modifyIndex(orders, raw({ keyPattern: { at: 1 }, hidden: false, prepareUnique: true }))
    assert.deepEqual(at(), { v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 9, prepareUnique: true })
    catalog.modifyIndex(orders, raw({ name: 'at', unique: true }))
    assert.deepEqual(at(), { v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 9, unique: true })
    catalog.modifyIndex(orders, raw({ name: 'at', forceNonUnique: true }))
    assert.deepEqual(at(), { v: 2, key: { at: 1 }, name: 'at', expireAfterSeconds: 9 })
    catalog.modifyIndex(orders, raw({ name: 'not there', hidden: true }))
    assert.deepEqual(names(catalog), { 'shop.orders': ['hashed', 'at'] })
  })

  it('gives the simple collation to an index without one, where the collection has another', () => {
    const catalog = new IndexCatalog()
    const fr = catalog.create('shop.fr', bytes(COLLECTION), raw({ collation: { locale: 'fr' } }))
    catalog.addIndex(fr, raw({ v: 2, key: { a: 1 }, name: 'a' }))
    catalog.addIndex(fr, raw({ v: 2, key: { b: 1 }, name: 'b', collation: { locale: 'en' } }))
    assert.deepEqual(specs(catalog)['shop.fr'], [
      { v: 2, key: { a: 1 }, name: 'a', collation: { locale: 'simple' } },
      { v: 2, key: { b: 1 }, name: 'b', collation: { locale: 'en' } },
    ])
  })

  it('keeps the indexes of a time series under its name and drops them through its buckets', () => {
    const catalog = new IndexCatalog()
    const buckets = catalog.create('shop.system.buckets.weather', undefined, undefined)
    catalog.addTimeSeriesIndex('shop.weather', raw({ v: 2, key: { m: 1 }, name: 'm_1' }))
    catalog.addTimeSeriesIndex('shop.weather', raw({ v: 2, key: { t: 1 }, name: 't_1' }))
    catalog.dropIndexes(buckets, raw({ dropIndexes: 'system.buckets.weather', index: 'm_1' }))
    catalog.modifyIndex(buckets, raw({ name: 't_1', hidden: true }))
    assert.deepEqual(specs(catalog), { 'shop.weather': [{ v: 2, key: { t: 1 }, name: 't_1', hidden: true }] })
    catalog.drop(buckets)
    assert.deepEqual(specs(catalog), {})
  })
})
