import assert from 'node:assert/strict'
import { STALE_SECONDS } from '../mongo/cluster-time.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { HEARTBEAT_MS, LOST_MS, startHeartbeat } from './heartbeat.js'

describe('heartbeat', () => {
  const reason = (why: string) => new Error(why)

  it('is written every 5 s until stopped', async () => {
    const clock = new ManualClock()
    let beats = 0
    const heartbeat = startHeartbeat({ clock, reason, beat: async () => ++beats > 0 })
    await clock.advance(4_999)
    assert.equal(beats, 0)
    await clock.advance(1)
    assert.equal(beats, 1)
    await clock.advance(3 * HEARTBEAT_MS)
    assert.equal(beats, 4)
    await heartbeat.stop()
    await clock.advance(10 * HEARTBEAT_MS)
    assert.equal(beats, 4)
    assert.equal(heartbeat.signal.aborted, false)
  })

  it('is lost at once when there is nothing left to beat for', async () => {
    const clock = new ManualClock()
    const heartbeat = startHeartbeat({ clock, reason, beat: async () => false })
    await clock.advance(HEARTBEAT_MS)
    assert.match(String(heartbeat.signal.reason), /gone/)
    assert.throws(() => heartbeat.assertAlive(), /gone/)
  })

  it('is tried again soon after a fault and forgets it after a success', async () => {
    const clock = new ManualClock()
    const at: number[] = []
    const faults: unknown[] = []
    const start = clock.now()
    let failing = 3
    const beat = async () => {
      at.push(clock.now() - start)
      if (failing-- > 0) throw new Error('no primary')
      return true
    }
    const heartbeat = startHeartbeat({ clock, reason, beat, onFailure: (error) => faults.push(error) })
    await clock.advance(60_000)
    assert.deepEqual(at.slice(0, 5), [5_000, 6_000, 7_000, 8_000, 13_000])
    assert.equal(faults.length, 3)
    assert.equal(heartbeat.signal.aborted, false)
    await heartbeat.stop()
  })

  for (const [how, beat] of [
    ['fail', () => Promise.reject(new Error('cut off'))],
    ['hang', () => new Promise<boolean>(() => undefined)],
  ] as const) {
    it(`is lost before others may take over when writes ${how}`, async () => {
      const clock = new ManualClock()
      const heartbeat = startHeartbeat({ clock, reason: (why, cause) => new Error(why, { cause }), beat })
      await clock.advance(LOST_MS - 1)
      assert.equal(heartbeat.signal.aborted, false)
      await clock.advance(1)
      assert.match(String(heartbeat.signal.reason), /silent/)
      if (how === 'fail') assert.match(String(heartbeat.signal.reason.cause), /cut off/)
      assert(LOST_MS < STALE_SECONDS * 1000)
    })
  }

  it('is lost, and not written, when the process was suspended for too long', async () => {
    const clock = new ManualClock()
    let beats = 0
    const heartbeat = startHeartbeat({ clock, reason, beat: async () => ++beats > 0 })
    clock.jump(LOST_MS + HEARTBEAT_MS)
    await clock.advance(0)
    assert.equal(beats, 0)
    assert.match(String(heartbeat.signal.reason), /silent/)
  })

  it('counts from when the first one was begun', async () => {
    const clock = new ManualClock()
    const since = clock.now() - 20_000
    const heartbeat = startHeartbeat({ clock, reason, since, beat: () => Promise.reject(new Error('x')) })
    await clock.advance(LOST_MS - 20_000)
    assert.match(String(heartbeat.signal.reason), /silent/)
  })

  it('stops even while a write hangs', async () => {
    const clock = new ManualClock()
    const heartbeat = startHeartbeat({ clock, reason, beat: () => new Promise<boolean>(() => undefined) })
    await clock.advance(HEARTBEAT_MS)
    const stopped = heartbeat.stop()
    await clock.advance(1_000)
    await stopped
  })
})
