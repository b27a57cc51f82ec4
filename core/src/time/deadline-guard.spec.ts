import assert from 'node:assert/strict'
import { LOST_MILLIS, startHeartbeat } from '../protocol/heartbeat.js'
import { judgedBy, throwIfStopped } from './deadline-guard.js'
import { ManualClock } from './manual-clock.support.js'

describe('what is fenced', () => {
  it('is not done after the process was suspended, though no timer has told it yet', async () => {
    const clock = new ManualClock()
    const heartbeat = startHeartbeat({ clock, beat: async () => true, reason: (why) => new Error(why) })
    const signal = judgedBy(AbortSignal.any([heartbeat.signal]), heartbeat.assertAlive)
    throwIfStopped(signal)
    clock.jump(LOST_MILLIS)
    assert.equal(signal.aborted, false)
    assert.throws(() => throwIfStopped(signal), /silent/)
    assert.equal(signal.aborted, true)
    await Promise.all([heartbeat.stop(), clock.advance(LOST_MILLIS)])
  })

  it('is done without a signal, or with one that nobody judges, until it aborts', () => {
    throwIfStopped(undefined)
    const stop = new AbortController()
    throwIfStopped(stop.signal)
    stop.abort(new Error('stopped'))
    assert.throws(() => throwIfStopped(stop.signal), /stopped/)
  })
})
