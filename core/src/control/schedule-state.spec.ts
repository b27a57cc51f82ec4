import assert from 'node:assert/strict'
import { readScheduleStates } from './schedule-state.js'

describe('what stands in the collection of how far schedules are', () => {
  it('counts as far as it can be used: times that no date has are none', () => {
    const last = { tick: 5, status: 'done', endedAt: 6 }
    const run = { tick: 5, opid: '0123456789abcdef01234567', status: 'sent', by: 'rs/a:1' }
    const wrong = [1e300, 8.64e15 + 1, 1.5, Number.NaN, '5', null]
    for (const time of wrong) {
      const states = readScheduleStates({ a: { tick: time }, b: { tick: 7, run: { ...run, tick: time }, last } })
      assert.deepEqual(states, { b: { tick: 7, last } })
      assert.deepEqual(readScheduleStates({ c: { tick: 7, last: { ...last, endedAt: time } } }), { c: { tick: 7 } })
    }
    assert.deepEqual(readScheduleStates({ a: { tick: 7, run, last } }), { a: { tick: 7, run, last } })
  })
})
