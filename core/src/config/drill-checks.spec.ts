import assert from 'node:assert/strict'
import { DRILL_CHECKS_SCHEMA } from './drill-checks.js'
import { schemaFaults } from './faults.js'

const faultsOf = (check: object) => schemaFaults([check], DRILL_CHECKS_SCHEMA, ['drill', 'checks'])

describe('the checks of drills', () => {
  it('may ask for a count and for a date', () => {
    const newest = { field: 'made.at', notOlderThan: '26h' }
    for (const check of [{ ns: 'shop.orders' }, { ns: 'a.b.c', query: '{}', minCount: 0, newest }])
      assert.deepEqual(faultsOf(check), [])
  })

  it('are of data of users', () => {
    for (const ns of ['', 'shop', 'shop.', '.orders', 'admin.pbmConfig', 'local.oplog.rs', 'shop.*', 'a\0.b', 'a.$b'])
      assert.notDeepEqual(faultsOf({ ns }), [], ns)
  })

  it('name a field, and no expression', () => {
    for (const field of ['', '$a', 'a.$b', 'a..b', '.a', 'a.', '$$ROOT', 'a\0'])
      assert.notDeepEqual(faultsOf({ ns: 'a.b', newest: { field, notOlderThan: '1h' } }), [], field)
    assert.notDeepEqual(faultsOf({ ns: 'a.b', newest: { field: 'a', notOlderThan: 'soon' } }), [])
  })

  it('have no other keys and no other types', () => {
    for (const more of [{ extra: 1 }, { minCount: -1 }, { minCount: '1' }, { query: {} }, { newest: { field: 'a' } }])
      assert.notDeepEqual(faultsOf({ ns: 'a.b', ...more }), [])
  })
})
