import assert from 'node:assert/strict'
import type { Snapshot } from '../../snapshots.js'
import { momentOf, newestOf, pastOf, wholeOf } from './moments.js'
import { summary } from './status.js'
import { ago, iso, secondsOf, span, visible } from './text.js'

const NOW = 1_900_000_000

function snapshot(restoreTo: number, printStatus: Snapshot['printStatus'] = 'success'): Snapshot {
  const status = printStatus === 'success' ? 'done' : 'error'
  return { name: `b${restoreTo}`, status, printStatus, restoreTo, pbmVersion: '2.15.0', type: 'logical', src: '' }
}

describe('what the page says of a moment', () => {
  const ranges = [
    { range: { start: NOW - 500, end: NOW - 100 } },
    { range: { start: NOW - 1000, end: NOW - 800 } },
    { range: { start: NOW - 700, end: NOW - 600 }, noBaseSnapshot: true as const },
  ]
  const past = pastOf(
    [snapshot(NOW - 500), snapshot(NOW - 1000), snapshot(NOW - 300, 'failed'), snapshot(1, 'failed')],
    ranges,
  )

  it('tells what can be restored, from what, and what is nearest otherwise', () => {
    assert.deepEqual(
      past.backups.map(({ at }) => at),
      [NOW - 1000, NOW - 500],
    )
    assert.equal(past.failures.length, 1)
    const inside = momentOf(NOW - 200, past)
    assert.deepEqual([inside.canBeRestored, inside.before?.snapshot.name, inside.nearest], [true, `b${NOW - 500}`, []])
    const unbacked = momentOf(NOW - 650, past)
    assert.deepEqual([unbacked.canBeRestored, unbacked.lacksBase], [false, true])
    assert.deepEqual(
      unbacked.nearest.map(({ at }) => at),
      [NOW - 800, NOW - 500],
    )
    assert.deepEqual(
      momentOf(NOW, past).nearest.map(({ at }) => at),
      [NOW - 100],
    )
    assert.equal(momentOf(NOW - 5000, past).before, undefined)
  })

  it('begins with the newest that can be restored', () => {
    assert.deepEqual(newestOf(past), { at: NOW - 100 })
    assert.deepEqual(newestOf(pastOf([snapshot(NOW - 5)], ranges)), { at: NOW - 5, backup: `b${NOW - 5}` })
    assert.equal(newestOf(pastOf([], [])), undefined)
    const whole = wholeOf(past, NOW)
    assert.ok(whole.from < NOW - 1000 && whole.to > NOW)
  })

  it('sums up in a sentence', () => {
    assert.equal(summary(pastOf([], []), NOW), 'There is nothing to go back to yet. Make a backup.')
    assert.equal(
      summary(pastOf([snapshot(NOW - 7200)], []), NOW),
      'You can go back to 1 backup, the newest 2 hours ago.',
    )
    assert.match(
      summary(past, NOW),
      /^You can go back to any second from \S+ \S+ to \S+ \S+ UTC, but for 1 gap, and to 2 backups\.$/,
    )
  })

  it('has times as the command line takes them, and names as they are', () => {
    assert.equal(secondsOf(iso(NOW)), NOW)
    assert.equal(secondsOf('2031-02-03T04:05'), Date.UTC(2031, 1, 3, 4, 5) / 1000)
    assert.equal(secondsOf(''), undefined)
    assert.deepEqual([span(1), span(90), span(7200), span(200_000)], ['1 second', '90 seconds', '2 hours', '2 days'])
    assert.equal(ago(NOW - 1, NOW), 'just now')
    assert.equal(visible('a\u202eb\n<i>'), 'a\\u202eb\\u000a<i>')
  })
})
