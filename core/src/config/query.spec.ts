import assert from 'node:assert/strict'
import { BSON, Long, ObjectId } from 'bson'
import { parseQuery } from './query.js'

describe('parseQuery', () => {
  it('takes a filter in Extended JSON, canonical and relaxed', () => {
    const text =
      '{"_id": {"$oid": "65f1c0ffee65f1c0ffee65f1"}, "n": {"$gt": {"$numberLong": "5"}}, "t": {"$exists": true}}'
    assert.deepEqual(BSON.deserialize(parseQuery(text), { promoteLongs: false }), {
      _id: new ObjectId('65f1c0ffee65f1c0ffee65f1'),
      n: { $gt: Long.fromNumber(5) },
      t: { $exists: true },
    })
    assert.deepEqual(BSON.deserialize(parseQuery('{}')), {})
  })

  it('refuses a filter that is longer than any text of a command', () => {
    const ofLength = (length: number) => `{"a": "${'x'.repeat(length - 9)}"}`
    assert.doesNotThrow(() => parseQuery(ofLength(4096)))
    assert.throws(() => parseQuery(ofLength(4097)), { code: 'QUERY_INVALID', message: /4097 characters/ })
  })

  it('refuses a key that stands twice in one object, of which one would not count', () => {
    for (const text of [
      '{"a": 1, "b": 2, "a": 3}',
      '{"a": {"$gt": 1, "$gt": 2}}',
      '{"a": {"$in": [{"b": 1, "b": 1}]}}',
    ])
      assert.throws(() => parseQuery(text), {
        code: 'QUERY_INVALID',
        message: /the key "(a|\$gt|b)" stands there twice/,
      })
    assert.doesNotThrow(() => parseQuery('{"$or": [{"a": 1}, {"a": 2}], "b": {"a": 1}}'))
  })

  const nested = '{"$or": [{"a": 1}, {"b": {"$elemMatch": {"$where": "1"}}}]}'
  for (const text of ['', '{', '[]', '"a"', '{"$where": "1"}', nested, '{"$text": {"$search": "a"}}']) {
    it(`refuses ${text.slice(0, 30) || 'nothing'}`, () => {
      assert.throws(() => parseQuery(text), { code: 'QUERY_INVALID' })
    })
  }
})
