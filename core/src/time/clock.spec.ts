import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from './clock.js'

describe('the clock of the system', () => {
  it('sleeps for longer than a timer can, until it is told to stop', async () => {
    for (const milliseconds of [2 ** 31, 1e300, Number.POSITIVE_INFINITY]) {
      const stop = new AbortController()
      const slept = systemClock.sleep(milliseconds, stop.signal).then(
        () => 'slept',
        (error: unknown) => error,
      )
      // Timers that can't wait so long are over after a millisecond.
      await delay(20)
      const reason = new Error('stopped')
      stop.abort(reason)
      assert.equal(await slept, reason)
    }
  })

  it('sleeps at least as long as asked', async () => {
    const before = performance.now()
    await systemClock.sleep(20)
    // Timers count in whole milliseconds.
    assert.ok(performance.now() - before > 18)
  })
})
