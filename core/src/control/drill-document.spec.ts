import assert from 'node:assert/strict'
import { type DrilledReplset, type DrillReport, drillFault, lastDrill, readDrills } from './drill-document.js'

describe('drills in the record of a backup', () => {
  const drill = (given: Partial<DrilledReplset>): DrilledReplset => ({
    ...{ rs: 'a', at: 10, result: 'good', restoreSeconds: 1, by: 'a/h:1', opid: 'new', faults: [] },
    ...given,
  })

  it('are one of all replica sets, which takes as long as the longest', () => {
    const both = [drill({}), drill({ rs: 'b', at: 12, restoreSeconds: 7 })]
    assert.deepEqual(lastDrill(both, 2), { at: 12, result: 'good', restoreSeconds: 7, opid: 'new' })
    assert.equal(lastDrill([drill({}), drill({ rs: 'b', result: 'failed' })], 3)?.result, 'failed')
    // Of an earlier one only the newer counts.
    const old = drill({ rs: 'b', at: 1, opid: 'old', result: 'failed', restoreSeconds: 99 })
    assert.deepEqual(lastDrill([old, drill({})], 1), { at: 10, result: 'good', restoreSeconds: 1, opid: 'new' })
    assert.equal(lastDrill([], 1), undefined)
    // The other may still fail, or never have been made.
    assert.equal(lastDrill([old, drill({})], 2), undefined)
  })

  it('may be anything, as they were stored', () => {
    assert.deepEqual(readDrills('x'), [])
    assert.deepEqual(readDrills([null, 1, { rs: 1, result: 'splendid', faults: 'x' }]), [
      { rs: '1', by: 'undefined', opid: 'undefined', at: 0, result: 'failed', restoreSeconds: 0, faults: [] },
    ])
  })

  it('say in one line what is wrong', () => {
    const report: DrillReport = {
      ...{ result: 'failed', backup: 'b', rs: 'a', node: 'h:1', restoreSeconds: 1, totalSeconds: 1 },
      ...{ collections: 1, documents: 1, indexes: 1, faults: ['x', 'y'], more: 3, checks: [] },
    }
    assert.equal(drillFault([report, { ...report, rs: 'b' }]), 'a: x; a: y; b: x; and 7 more')
  })
})
