import assert from 'node:assert/strict'
import { BSON, Timestamp } from 'bson'
import { parseEntry } from './entry.js'

describe('An entry of the oplog', () => {
  const parse = (fields: object) =>
    parseEntry(Buffer.from(BSON.serialize({ ts: new Timestamp({ t: 1, i: 1 }), ns: 'config.chunks', ...fields })))

  it('says that an update makes the document where there is none, only where the server logged that', () => {
    const update = { op: 'u', o: { _id: 1, max: 5 }, o2: { _id: 1 } }
    assert.equal(parse({ ...update, b: true }).upsert, true)
    assert.equal(parse({ ...update, b: false }).upsert, undefined)
    assert.equal(parse({ ...update, b: 1 }).upsert, undefined)
    assert.equal(parse(update).upsert, undefined)
  })
})
