import assert from 'node:assert/strict'
import type { LogEntry } from '@pbmkit/core'
import { coloursFor } from './colour.js'
import { logLine, logTimes } from './log-line.js'

const PLAIN = coloursFor({}, {})
const ENTRY: LogEntry = {
  ts: Date.parse('2031-02-03T04:05:10Z') / 1000,
  ns: 0,
  tz: 0,
  s: 3,
  rs: 'rs0',
  node: 'host:27017',
  e: 'backup',
  eobj: '2031-02-03T04:05:06Z',
  opid: 'ab'.repeat(12),
  msg: 'begins',
}

describe('a line of the log', () => {
  it('reads as in PBM', () => {
    assert.equal(
      logLine(ENTRY, logTimes('UTC'), PLAIN, false),
      '2031-02-03T04:05:10Z I [rs0/host:27017] [backup/2031-02-03T04:05:06Z] begins',
    )
    assert.equal(
      logLine({ ...ENTRY, s: 1 }, logTimes('utc'), PLAIN, true),
      `2031-02-03T04:05:10Z E [rs0/host:27017] [backup/2031-02-03T04:05:06Z/${'ab'.repeat(12)}] begins`,
    )
    assert.equal(
      logLine({ ...ENTRY, e: '', eobj: '' }, logTimes('UTC'), PLAIN, false),
      '2031-02-03T04:05:10Z I [rs0/host:27017] begins',
    )
  })

  it('is one line, however hostile what it tells of', () => {
    const hostile = 'x\u001b[2J\n2031-02-03T04:05:10Z I all is well'
    const line = logLine({ ...ENTRY, eobj: hostile, msg: hostile, node: hostile }, logTimes('UTC'), PLAIN, false)
    assert.equal(line.split('\n').length, 2)
    assert.match(line, /\n {2}2031/)
    assert.doesNotMatch(line, /[^\P{Cc}\n]/u)
  })

  it('has its time in the zone asked for, with the offset', () => {
    assert.equal(logTimes('Asia/Kolkata')(ENTRY.ts), '2031-02-03T09:35:10+05:30')
    assert.equal(logTimes('Europe/London')(ENTRY.ts), '2031-02-03T04:05:10Z')
    assert.match(logTimes('Local')(ENTRY.ts), /^2031-02-0\dT/)
    assert.throws(() => logTimes('Mars/Base'), { code: 'USAGE' })
  })

  it('is coloured on a terminal only, and not where NO_COLOR says so', () => {
    const red = logLine({ ...ENTRY, s: 1 }, logTimes('UTC'), coloursFor({ isTTY: true }, {}), false)
    assert.ok(red.includes('\u001b[31mE'))
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
      assert.ok(!logLine(ENTRY, logTimes('UTC'), coloursFor({ isTTY: true }, env), false).includes('\u001b'))
  })
})
