import assert from 'node:assert/strict'
import fc from 'fast-check'
import { grouped, momentAt, moved, positionOf, showing, ticks, type View, within, zoomed } from './scale.js'

const DAY = 86_400
const START = Date.UTC(2031, 0, 1) / 1000
const WHOLE: View = { from: START, to: START + 365 * DAY }

describe('the scale of the time line', () => {
  const view = fc
    .tuple(fc.integer({ min: 0, max: 364 * DAY }), fc.integer({ min: 60, max: 365 * DAY }))
    .map(([from, length]) => within({ from: START + from, to: START + from + length }, WHOLE))

  it('never leaves what there is, and never gets shorter than a minute', () => {
    fc.assert(
      fc.property(
        view,
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        fc.integer({ min: -DAY, max: DAY }),
        (one, factor, by) => {
          for (const next of [zoomed(one, factor, (one.from + one.to) / 2, WHOLE), moved(one, by, WHOLE)]) {
            assert.ok(next.from >= WHOLE.from - 1e-3 && next.to <= WHOLE.to + 1e-3)
            assert.ok(next.to - next.from >= 60 - 1e-3)
          }
        },
      ),
    )
  })

  it('keeps the moment under the pointer where it is, and shows one that is chosen', () => {
    const one = { from: START + 10 * DAY, to: START + 20 * DAY }
    const around = momentAt(300, one, 1000)
    assert.equal(Math.round(positionOf(around, zoomed(one, 4, around, WHOLE), 1000)), 300)
    assert.equal(showing(one, START + 15 * DAY, WHOLE), one)
    const shown = showing(one, START + 40 * DAY, WHOLE)
    assert.deepEqual([shown.from, shown.to], [START + 35 * DAY, START + 45 * DAY])
  })

  it('draws few marks, however many backups there are, and loses none', () => {
    const marks = Array.from({ length: 5000 }, (_, index) => ({ at: START + index * 6000, index }))
    const groups = grouped(marks, WHOLE, { width: 1000, gap: 10 })
    assert.ok(groups.length <= 101, String(groups.length))
    const inView = marks.filter(({ at }) => at >= WHOLE.from && at <= WHOLE.to)
    assert.deepEqual(
      groups.flatMap((group) => group.marks.map(({ index }) => index)),
      inView.map(({ index }) => index),
    )
  })

  it('has round labels, few enough to be read, at every size', () => {
    fc.assert(
      fc.property(view, fc.integer({ min: 200, max: 2500 }), (one, width) => {
        const found = ticks(one, width)
        assert.ok(found.length <= Math.max(2, Math.floor(width / 110)) + 1, String(found.length))
        for (const { at } of found) assert.ok(at >= one.from && at <= one.to && at % 10 === 0)
      }),
    )
    const labels = (from: number, to: number) => ticks({ from, to }, 700).map(({ label }) => label)
    assert.deepEqual(labels(START, START + 300 * DAY), ['2031', 'Apr', 'Jul', 'Oct'])
    assert.deepEqual(labels(START + 7 * 3600, START + 25 * 3600), [
      '1 Jan 09:00',
      '12:00',
      '15:00',
      '18:00',
      '21:00',
      '2 Jan 00:00',
    ])
    assert.deepEqual(labels(START + 60, START + 120), [
      '1 Jan 00:01',
      '00:01:10',
      '00:01:20',
      '00:01:30',
      '00:01:40',
      '00:01:50',
      '00:02:00',
    ])
  })
})
