import assert from 'node:assert/strict'
import { ManualClock } from './manual-clock.support.js'
import { until } from './until.js'

describe('until', () => {
  it('gives what the condition gives at last, and looks again after a pause', async () => {
    const clock = new ManualClock()
    const looks: number[] = []
    const found = until(
      async (look) => {
        looks.push(look)
        return look === 3 ? 'there' : look === 1 ? undefined : false
      },
      { clock, everyMs: 50 },
    )
    await clock.advance(99)
    assert.deepEqual(looks, [1, 2])
    await clock.advance(1)
    assert.equal(await found, 'there')
    assert.deepEqual(looks, [1, 2, 3])
  })

  it('gives nothing when time is over, after a last look', async () => {
    const clock = new ManualClock()
    let looks = 0
    const found = until(async () => ++looks > 5, { clock, everyMs: 60, timeoutMs: 100 })
    await clock.advance(120)
    assert.equal(await found, undefined)
    assert.equal(looks, 3)
  })

  it('asks for the length of each pause', async () => {
    const clock = new ManualClock()
    const found = until(async (look) => look === 4, { clock, everyMs: (look) => 10 * 2 ** look })
    await clock.advance(20 + 40 + 80)
    assert.equal(await found, true)
  })

  it('ends with the reason of the signal, and with the fault of a look', async () => {
    const clock = new ManualClock()
    const stop = new AbortController()
    const waiting = until(async () => false, { clock, signal: stop.signal, everyMs: 50 })
    stop.abort(new Error('stopped'))
    await assert.rejects(waiting, /stopped/)
    assert.equal(await until(async () => 'there', { clock, signal: stop.signal, everyMs: 50 }), 'there')
    const broken = async () => {
      throw new Error('no answer')
    }
    await assert.rejects(until(broken, { clock, everyMs: 50 }), /no answer/)
  })
})
