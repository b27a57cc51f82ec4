import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import { commonTimelines, splitAtBase, timelines } from './pitr-ranges.js'

const at = (t: number, i = 1) => new Timestamp({ t, i })
const chunk = (start: number, end: number) => ({ start_ts: at(start), end_ts: at(end) })
const base = (first: number, last: number) => ({ first_write_ts: at(first), last_write_ts: at(last) })

describe('point-in-time ranges', () => {
  it('joins chunks that touch, in any order, and breaks at gaps', () => {
    assert.deepEqual(timelines([chunk(20, 30), chunk(10, 20), chunk(31, 40)]), [
      { start: 10, end: 30 },
      { start: 31, end: 40 },
    ])
    assert.deepEqual(timelines([chunk(10, 30), chunk(12, 20)]), [{ start: 10, end: 30 }])
    assert.deepEqual(timelines([]), [])
  })

  it('keeps what every replica set covers', () => {
    assert.deepEqual(commonTimelines([]), [])
    assert.deepEqual(
      commonTimelines([
        [{ start: 10, end: 50 }],
        [
          { start: 0, end: 20 },
          { start: 30, end: 60 },
        ],
      ]),
      [
        { start: 10, end: 20 },
        { start: 30, end: 50 },
      ],
    )
  })

  it('offers what lies after the last write of the first base, and marks the rest', () => {
    assert.deepEqual(splitAtBase({ start: 10, end: 50 }, [base(30, 40), base(15, 20)]), [
      { range: { start: 10, end: 20 }, noBaseSnapshot: true },
      { range: { start: 21, end: 50 } },
    ])
    assert.deepEqual(splitAtBase({ start: 10, end: 50 }, [base(60, 70)]), [
      { range: { start: 10, end: 50 }, noBaseSnapshot: true },
    ])
    assert.deepEqual(splitAtBase({ start: 10, end: 50 }, [base(5, 10)]), [{ range: { start: 11, end: 50 } }])
  })
})
