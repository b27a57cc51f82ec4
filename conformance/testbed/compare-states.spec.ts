import assert from 'node:assert/strict'
import { type CollectionState, compareStates, type DatabaseState } from './index.js'

const int = (value: number) => ({ $numberInt: String(value) })
const collection: CollectionState = {
  type: 'collection',
  options: { capped: true },
  uuid: 'u1',
  indexes: [{ v: int(2), key: { a: int(1), b: int(1) }, name: 'a_b', hidden: true }],
  count: int(3),
  sha256: 'aa',
}
const state = (x: CollectionState, more: Partial<DatabaseState> = {}): DatabaseState => ({
  dbs: { db: { x } },
  users: [{ _id: 'admin.u', roles: [], sha256: 'cc' }],
  roles: [],
  ...more,
})

describe('compareStates', () => {
  const differences = (actual: DatabaseState) => compareStates(state(collection), actual)

  it('finds nothing between equal states', () => {
    assert.deepEqual(differences(structuredClone(state(collection))), [])
  })

  it('names every kind of difference', () => {
    assert.deepEqual(differences({ dbs: {}, users: state(collection).users, roles: [] }), ['db: missing database'])
    assert.deepEqual(differences(state({ ...collection, sha256: 'bb' })), ['db.x: documents "aa" became "bb"'])
    assert.deepEqual(differences(state({ ...collection, options: {} })), ['db.x: option capped true became nothing'])
    assert.deepEqual(differences(state({ ...collection, uuid: 'u2' })), ['db.x: uuid "u1" became "u2"'])
    assert.deepEqual(differences(state({ ...collection, count: int(2), sha256: 'bb' })), [
      'db.x: count {"$numberInt":"3"} became {"$numberInt":"2"}',
    ])
    assert.deepEqual(differences(state(collection, { roles: [{ _id: 'db.r' }] })), ['role db.r: unexpected'])
  })

  it('takes the order of keys in an index for what it is, and not that of its options', () => {
    const swapped = { v: int(2), key: { b: int(1), a: int(1) }, name: 'a_b', hidden: true }
    assert.deepEqual(differences(state({ ...collection, indexes: [swapped] })), [
      'db.x: index a_b: key {"a":{"$numberInt":"1"},"b":{"$numberInt":"1"}} became ' +
        '{"b":{"$numberInt":"1"},"a":{"$numberInt":"1"}}',
    ])
    const reordered = { name: 'a_b', hidden: true, key: { a: int(1), b: int(1) }, v: int(2) }
    assert.deepEqual(differences(state({ ...collection, indexes: [reordered] })), [])
  })

  it('lets users go that are to be ignored, and credentials that one side does not know', () => {
    const users = [{ _id: 'admin.u', roles: [] }, { _id: 'admin.agent' }]
    assert.deepEqual(
      compareStates(state(collection), state(collection, { users }), { ignoreUsers: ['admin.agent'] }),
      [],
    )
  })
})
