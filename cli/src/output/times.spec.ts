import assert from 'node:assert/strict'
import { rfc3339, tableTime } from '@pbmkit/core'
import fc from 'fast-check'
import { momentText, parseMoment, parseOlderThan, restoreName } from './times.js'

const NOW = Date.parse('2031-02-10T00:00:00Z') / 1000

describe('times', () => {
  it('prints seconds as RFC 3339 and as the tables have them', () => {
    assert.equal(rfc3339(NOW), '2031-02-10T00:00:00Z')
    assert.equal(tableTime(NOW), '2031-02-10T00:00:00')
  })

  it('names a restore with nanoseconds and without trailing zeros, as Go does', () => {
    assert.equal(restoreName(NOW * 1000), '2031-02-10T00:00:00Z')
    assert.equal(restoreName(NOW * 1000 + 120), '2031-02-10T00:00:00.12Z')
    assert.equal(restoreName(NOW * 1000 + 4, 807_033), '2031-02-10T00:00:00.004807033Z')
  })

  it('reads each form of --older-than', () => {
    const second = Date.parse('2031-02-03T04:05:06Z') / 1000
    for (const text of ['2031-02-03T04:05:06', '2031-02-03T04:05:06Z', `${second},7`])
      assert.equal(parseOlderThan(text, NOW).t, second, text)
    assert.equal(parseOlderThan('2031-02-03', NOW).t, Date.parse('2031-02-03T00:00:00Z') / 1000)
    assert.equal(parseOlderThan('3d', NOW).t, NOW - 3 * 86_400)
    assert.equal(parseOlderThan('0d', NOW).t, NOW)
  })

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: NOW }), (seconds) => {
        assert.equal(parseOlderThan(tableTime(seconds), NOW).t, seconds)
      }),
    )
  })

  it('reads a moment back, be it seconds or a timestamp', () => {
    for (const text of ['2031-02-03T04:05:06', '1927857906,7'])
      assert.equal(momentText(parseMoment(text, '--time')), text)
    assert.equal(momentText(parseMoment('2031-02-03', '--time')), '2031-02-03T00:00:00')
    for (const text of [
      '2031-02-30',
      '2031-02-03T24:00:00',
      '4294967296,0',
      '1,4294967296',
      '1970-01-01T00:00',
      '3d',
      '2200-01-01',
    ])
      assert.throws(() => parseMoment(text, '--time'), { code: 'USAGE', message: /^--time/ }, text)
  })

  it('refuses what is no time, and what lies ahead', () => {
    for (const text of [
      '',
      'yesterday',
      '2031-13-01',
      '2031-02-03 04:05:06',
      '3',
      '-1d',
      '1d2h',
      '99999d',
      `${'9'.repeat(400)}d`,
    ])
      assert.throws(() => parseOlderThan(text, NOW), { code: 'USAGE' }, text)
    assert.throws(() => parseOlderThan('2031-02-11', NOW), /is after now \(2031-02-10T00:00:00Z\)/)
  })
})
