import assert from 'node:assert/strict'
import { parseDuration, shortDuration } from './durations.js'

describe('durations', () => {
  it('reads what Go writes', () => {
    assert.equal(parseDuration('0', '--wait-time'), 0)
    assert.equal(parseDuration('90s', '--wait-time'), 90_000)
    assert.equal(parseDuration('1h30m', '--wait-time'), 5_400_000)
    assert.equal(parseDuration('1.5s', '--wait-time'), 1500)
    assert.equal(parseDuration('250ms', '--wait-time'), 250)
  })

  it('refuses anything else, naming the flag', () => {
    for (const text of ['', '5', 's', '-5s', '5x', '1h 2m'])
      assert.throws(() => parseDuration(text, '--wait-time'), /--wait-time/, text)
  })

  it('prints how long something takes', () => {
    assert.equal(shortDuration(12_400), '12s')
    assert.equal(shortDuration(185_000), '3m05s')
    assert.equal(shortDuration(3_725_000), '1h02m')
  })
})
