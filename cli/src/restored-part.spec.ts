import assert from 'node:assert/strict'
import { mergedText, restoredPartText, shortened } from './restored-part.js'

describe('what a restore was about', () => {
  it('is told in few words', () => {
    assert.equal(restoredPartText({}), undefined)
    assert.equal(restoredPartText({ nss: ['a.b', 'c.*'] }), 'a.b, c.*')
    const users = { usersAndRoles: true }
    assert.equal(restoredPartText({ nss: ['c.*'], selection: users }), 'c.*; with users and roles')
    const pairs = [{ from: 'a.*', to: 'b.*' }]
    assert.equal(restoredPartText({ nss: ['a.*'], selection: { usersAndRoles: false, pairs } }), 'a.* as b.*')
    const kept = { usersAndRoles: false, keepExisting: true, query: '{"a": 1}' }
    assert.equal(restoredPartText({ nss: ['a.b'], selection: kept }), 'a.b; only what was missing; matching {"a": 1}')
  })

  it('is shortened for a table', () => {
    assert.equal(shortened('a'.repeat(60)), 'a'.repeat(60))
    assert.equal(shortened('a'.repeat(61)), `${'a'.repeat(59)}…`)
  })

  it('tells what became of documents', () => {
    assert.equal(mergedText({ replsets: [] }), undefined)
    const merged = [{ ns: 'a.b', inserted: 2, existing: 3, conflicts: 1, left_out: [] }]
    assert.equal(
      mergedText({ replsets: [{ merged }, { merged }, {}] }),
      'a.b: 4 documents put there, 6 were there, 2 left out for a unique index',
    )
  })
})
