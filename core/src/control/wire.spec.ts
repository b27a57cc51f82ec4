import assert from 'node:assert/strict'
import { Double, Int32, Long, ObjectId, Timestamp } from 'mongodb'
import { readList, readNumber, toWire } from './wire.js'

describe('wire types', () => {
  it('make longs of 64-bit fields at any depth, and leave the rest', () => {
    const _id = new ObjectId()
    const ts = new Timestamp({ t: 1, i: 2 })
    const document = {
      _id,
      size: 5,
      hb: ts,
      error: undefined,
      level: 3,
      conditions: [{ timestamp: 7, status: 'done' }],
      replsets: [{ start_ts: 9, committed_txn: null }],
      chunk: { start_ts: ts },
      store: { size: 1, when: new Date(0) },
    }
    assert.deepEqual(toWire(document), {
      _id,
      size: Long.fromNumber(5),
      hb: ts,
      level: 3,
      conditions: [{ timestamp: Long.fromNumber(7), status: 'done' }],
      replsets: [{ start_ts: Long.fromNumber(9), committed_txn: null }],
      chunk: { start_ts: ts },
      store: { size: 1, when: new Date(0) },
    })
    assert.equal(document.size, 5)
  })

  it('are read whichever they are', () => {
    for (const value of [5, new Int32(5), new Double(5), Long.fromNumber(5), 5n]) assert.equal(readNumber(value), 5)
    assert.deepEqual([readNumber(null), readNumber(undefined, 3), readNumber('x', 2)], [0, 3, 2])
    assert.deepEqual([readList(null), readList(undefined), readList([1])], [[], [], [1]])
  })
})
