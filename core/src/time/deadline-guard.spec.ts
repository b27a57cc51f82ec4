import assert from 'node:assert/strict'
import { LOST_MS, startHeartbeat } from '../protocol/heartbeat.js'
import { deadlineGuard } from './deadline-guard.js'
import { ManualClock } from './manual-clock.support.js'

describe('what is fenced', () => {
  it('is not done after the process was suspended, though no timer has told it yet', async () => {
    const clock = new ManualClock()
    const heartbeat = startHeartbeat({ clock, beat: async () => true, reason: (why) => new Error(why) })
    const guard = deadlineGuard(AbortSignal.any([heartbeat.signal]), heartbeat.assertAlive)
    guard.throwIfStopped()
    clock.jump(LOST_MS)
    assert.equal(guard.signal.aborted, false)
    assert.throws(() => guard.throwIfStopped(), /silent/)
    assert.equal(guard.signal.aborted, true)
    await Promise.all([heartbeat.stop(), clock.advance(LOST_MS)])
  })

  it('is done where nobody would take over, until the signal aborts', () => {
    const stop = new AbortController()
    const guard = deadlineGuard(stop.signal)
    guard.throwIfStopped()
    stop.abort(new Error('stopped'))
    assert.throws(() => guard.throwIfStopped(), /stopped/)
  })
})
