import assert from 'node:assert/strict'
import type { BackupDocument, PitrChunkDocument } from '@pbmkit/core'
import { Timestamp } from 'mongodb'
import { basesOf, rangesOf, slicingBasesOf } from './pitr-ranges.js'

const at = (t: number, i = 1) => new Timestamp({ t, i })
const base = (end: number) => ({ name: `b${end}`, last_write_ts: at(end), replsets: [{ name: 'rs0' }] })

function chunk(start: number, end: number): PitrChunkDocument {
  return { rs: 'rs0', fname: '', compression: 's2', start_ts: at(start), end_ts: at(end), size: 10 }
}

describe('pitrRanges', () => {
  it('begin with the first second after the base and end with the last chunk', () => {
    const { ranges } = rangesOf([chunk(90, 150), chunk(150, 200)], [base(100)], {})
    assert.deepEqual(ranges, [{ range: { start: 101, end: 200 } }])
  })

  it('show what has no base only when asked', () => {
    const chunks = [chunk(90, 150), chunk(160, 200)]
    assert.deepEqual(rangesOf(chunks, [base(100)], { unbacked: true }).ranges, [
      { range: { start: 90, end: 100 }, noBaseSnapshot: true },
      { range: { start: 101, end: 150 } },
      { range: { start: 160, end: 200 }, noBaseSnapshot: true },
    ])
    assert.deepEqual(rangesOf(chunks, [], {}).ranges, [])
  })

  it('show the chains of each replica set as they are', () => {
    assert.deepEqual(rangesOf([chunk(90, 150), chunk(160, 200)], [base(100)], {}).rsRanges, {
      rs0: [{ range: { start: 90, end: 150 } }, { range: { start: 160, end: 200 } }],
    })
  })

  it('are none where not even one second lies in them', () => {
    assert.deepEqual(rangesOf([chunk(90, 100)], [base(100)], {}).ranges, [])
  })

  it('begin at no increment, though slicing goes on from it', () => {
    const backup = (type: BackupDocument['type']) => ({ type, status: 'done', store: {} }) as BackupDocument
    const all = [backup('logical'), backup('physical'), backup('incremental')]
    assert.deepEqual(slicingBasesOf(all), all)
    assert.deepEqual(basesOf(all), all.slice(0, 2))
  })
})
