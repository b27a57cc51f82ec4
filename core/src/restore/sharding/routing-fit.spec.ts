import assert from 'node:assert/strict'
import { BSON, type Document, UUID } from 'bson'
import { refuseForeignCollection, routedDatabase } from './routing-fit.js'

const raw = (document: Document) => Buffer.from(BSON.serialize(document))

describe('routing tables that somebody has changed', () => {
  it('name databases of users only', () => {
    assert.equal(routedDatabase(raw({ _id: 'shop', primary: 's1' })), 'shop')
    for (const _id of ['config', 'admin', 'local', '', 'a.b', 'a$', { $gte: '' }, 5, null, undefined])
      assert.throws(() => routedDatabase(raw({ _id, primary: 's1' })), { code: 'BACKUP_DAMAGED' }, String(_id))
  })

  const [uuid, other] = [new UUID(), new UUID()]
  const databases = new Set(['shop'])
  const target = new Map([
    [uuid.toHexString(false), 'shop.renamed'],
    [other.toHexString(false), 'elsewhere.kept'],
  ])
  const see = (collection: Document) => refuseForeignCollection(raw(collection), databases, target)

  it('have collections in these alone, and of their UUIDs', () => {
    see({ _id: 'shop.orders', uuid })
    see({ _id: 'shop.orders', uuid: new UUID() })
    see({ _id: 'shop.orders' })
    for (const _id of ['elsewhere.kept', 'elsewhere.new', 'config.shards', 'shop', '', 7])
      if (_id !== 'shop') assert.throws(() => see({ _id, uuid }), { code: 'BACKUP_DAMAGED' }, String(_id))
    const message = /"shop\.orders" has the UUID that elsewhere\.kept has here/
    assert.throws(() => see({ _id: 'shop.orders', uuid: other }), { code: 'BACKUP_DAMAGED', message })
  })
})
