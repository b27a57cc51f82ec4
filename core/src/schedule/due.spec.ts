import assert from 'node:assert/strict'
import type { ScheduleConfig } from '../config/schedules.js'
import type { ScheduleState } from '../control/schedule-state.js'
import { dueOf } from './due.js'

const NIGHTLY: ScheduleConfig = { name: 'nightly', cron: '0 2 * * *', do: 'backup' }
const at = (text: string) => Date.parse(`2031-02-${text}Z`)
const TICK = at('03T02:00:00')
const OPID = '0123456789abcdef01234567'
const run = (status: 'waiting' | 'sent', tick: number) => ({ tick, opid: OPID, status, by: 'rs/a:1' })

function due(now: string, state?: ScheduleState, schedule: Partial<ScheduleConfig> = {}, since = at('01T00:00:00')) {
  return dueOf({ ...NIGHTLY, ...schedule }, { since, state, now: at(now) })
}

describe('what is due of a schedule', () => {
  it('is nothing before its time, its time from then on, and that only once', () => {
    const before = { tick: at('02T02:00:00') }
    assert.deepEqual(due('03T01:59:59', before), { kind: 'nothing' })
    assert.deepEqual(due('03T02:00:00', before), { kind: 'run', tick: TICK, isLate: false })
    assert.deepEqual(due('03T02:04:59', before), { kind: 'run', tick: TICK, isLate: false })
    assert.deepEqual(due('03T02:00:10', { tick: TICK }), { kind: 'nothing' })
  })

  it('is one for all that were missed', () => {
    assert.deepEqual(due('09T12:00:00', { tick: TICK }), { kind: 'run', tick: at('09T02:00:00'), isLate: true })
  })

  it('is not made up where that is not wanted, but for what an election delays', () => {
    const state = { tick: at('02T02:00:00') }
    assert.equal(due('03T02:04:59', state, { catchUp: false }).kind, 'run')
    const late = due('03T02:05:01', state, { catchUp: false })
    assert.deepEqual(late.kind === 'leave' && [late.status, late.tick], ['missed', TICK])
  })

  it('is nothing of before it was set or resumed, and nothing while it is paused', () => {
    assert.deepEqual(due('03T12:00:00', undefined, {}, at('03T02:00:00')), { kind: 'nothing' })
    assert.deepEqual(due('03T12:00:00', undefined, {}, at('03T01:59:59')).kind, 'run')
    assert.deepEqual(due('03T02:00:00', undefined, { enabled: false }), { kind: 'nothing' })
  })

  it('is what was due last, where what was taken lies far ahead: that was a wrong clock', () => {
    assert.deepEqual(due('03T02:00:10', { tick: at('05T00:00:00') }), { kind: 'run', tick: TICK, isLate: false })
    // An agent whose clock is a little behind does it not again.
    assert.deepEqual(due('03T01:50:00', { tick: TICK }), { kind: 'nothing' })
  })

  it('takes the place of one that still waits', () => {
    const state = { tick: at('02T02:00:00'), run: run('waiting', at('02T02:00:00')) }
    assert.deepEqual(due('03T02:00:00', state), {
      ...{ kind: 'run', tick: TICK, isLate: false, instead: at('02T02:00:00') },
    })
  })

  it('waits for the one before, or is skipped', () => {
    const state = { tick: at('02T02:00:00'), run: run('sent', at('02T02:00:00')) }
    assert.deepEqual(due('03T02:00:00', state), { kind: 'nothing' })
    const skipped = due('03T02:00:00', state, { overlap: 'skip' })
    assert.deepEqual(skipped.kind === 'leave' && [skipped.status, skipped.tick], ['skipped', TICK])
  })
})
