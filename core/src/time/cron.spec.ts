import assert from 'node:assert/strict'
import { cronFault, lastTick, nextTick } from './cron.js'

const at = (text: string) => Date.parse(text)
const text = (time: number | undefined) => (time === undefined ? undefined : new Date(time).toISOString())

describe('times of a cron expression', () => {
  it('are those of UTC where no zone is named', () => {
    assert.equal(text(nextTick({ cron: '30 2 * * *' }, at('2031-02-03T02:30:00Z'))), '2031-02-04T02:30:00.000Z')
    assert.equal(text(lastTick({ cron: '30 2 * * *' }, at('2031-02-03T02:29:59.999Z'))), '2031-02-02T02:30:00.000Z')
  })

  it('count from their very second on', () => {
    const times = { cron: '*/10 * * * * *' }
    assert.equal(text(lastTick(times, at('2031-02-03T00:00:10.000Z'))), '2031-02-03T00:00:10.000Z')
    assert.equal(text(lastTick(times, at('2031-02-03T00:00:19.999Z'))), '2031-02-03T00:00:10.000Z')
    assert.equal(text(nextTick(times, at('2031-02-03T00:00:10.001Z'))), '2031-02-03T00:00:20.000Z')
  })

  it('follow their zone, also over the hours that a clock leaves out or has twice', () => {
    const times = { cron: '30 2 * * *', timezone: 'Europe/Berlin' }
    assert.equal(text(nextTick(times, at('2031-01-15T00:00:00Z'))), '2031-01-15T01:30:00.000Z')
    assert.equal(text(nextTick(times, at('2031-07-15T00:00:00Z'))), '2031-07-15T00:30:00.000Z')
    const days = (from: string, count: number) => {
      const found: number[] = []
      for (let time = at(from); found.length < count; time = found.at(-1) ?? time)
        found.push(nextTick(times, time) ?? 0)
      return found.map((time) => text(time)?.slice(0, 10))
    }
    // On 30 March 2031 there is no 2:30 in Berlin, on 26 October there are two: each day once.
    assert.deepEqual(days('2031-03-29T00:00:00Z', 3), ['2031-03-29', '2031-03-30', '2031-03-31'])
    assert.deepEqual(days('2031-10-25T00:00:00Z', 3), ['2031-10-25', '2031-10-26', '2031-10-27'])
  })

  it('are refused in words', () => {
    const now = at('2031-02-03T00:00:00Z')
    assert.equal(cronFault({ cron: '@daily' }, now), undefined)
    assert.equal(cronFault({ cron: '30 2 * * *', timezone: 'Europe/Berlin' }, now), undefined)
    assert.deepEqual(cronFault({ cron: '30 2 * * *', timezone: 'Middle/Earth' }, now)?.key, 'timezone')
    assert.match(cronFault({ cron: '0 0 30 2 *' }, now)?.text ?? '', /ever comes/)
    for (const cron of ['', 'nightly', '61 * * * *', '* * *', '* * * * * * *', 'x'.repeat(1000), '? ? * * *'])
      assert.equal(cronFault({ cron }, now)?.key, 'cron', cron)
  })
})
