import assert from 'node:assert/strict'
import { Timestamp } from 'bson'
import { slicingLag } from './lag.js'

const at = (t: number) => new Timestamp({ t, i: 1 })

describe('the lag of the stored oplog', () => {
  it('is from the last stored entry to now, for each replica set', () => {
    const chunks = [
      { rs: 'a', end_ts: at(200) },
      { rs: 'a', end_ts: at(100) },
      { rs: 'b', end_ts: at(310) },
    ]
    assert.deepEqual(slicingLag(chunks, ['a', 'b', 'c'], at(300)), [
      { rs: 'a', stored: at(200), seconds: 100 },
      { rs: 'b', stored: at(310), seconds: 0 },
      { rs: 'c', stored: undefined, seconds: undefined },
    ])
  })
})
