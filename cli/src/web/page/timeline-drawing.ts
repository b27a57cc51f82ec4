import { type ComponentChild, h } from 'preact'
import type { Mark, Past } from './moments.js'
import { type Group, grouped, positionOf, ticks, type View } from './scale.js'

const HEIGHT = 132
const RANGE_TOP = 22
const RANGE_HEIGHT = 26
const MARK_MIDDLE = 80
const AXIS = 104
/** The width of one, at most. */
const LETTER = 7
/** So near to each other, marks can't be told apart. */
const GAP = 11
/** So near to a mark, a pointer means it. */
const REACH = 7

export interface Drawing {
  readonly svg: ComponentChild
  /** The newest backup of the mark at a place; undefined where there is none. */
  markAt(x: number): Mark | undefined
  countAt(x: number): number
}

export interface Drawn {
  readonly past: Past
  readonly view: View
  readonly width: number
  readonly now: number
}

/** The picture, which is decoration to a screen reader: the slider around it speaks. */
export function drawing({ past, view, width, now }: Drawn): Drawing {
  const x = (at: number) => positionOf(at, view, width)
  const done = grouped(past.backups, view, { width, gap: GAP })
  const failed = grouped(past.failures, view, { width, gap: GAP })
  const bars = past.ranges.flatMap(({ range, noBaseSnapshot }) => {
    const [left, right] = [Math.max(-1, x(range.start)), Math.min(width + 1, x(range.end))]
    if (right < 0 || left > width) return []
    const kind = noBaseSnapshot === true ? 'bar bar-unbacked' : 'bar'
    const place = { x: left, y: RANGE_TOP, width: Math.max(2, right - left), height: RANGE_HEIGHT, rx: 4 }
    return [h('rect', { class: kind, ...place })]
  })
  const lines = ticks(view, width).map(({ at, label, isMajor }) =>
    h('g', { class: isMajor ? 'tick major' : 'tick' }, [
      h('line', { x1: x(at), x2: x(at), y1: 12, y2: AXIS }),
      // One at the end is not cut off.
      h('text', { x: Math.min(x(at) + 4, width - label.length * LETTER), y: AXIS + 16 }, label),
    ]),
  )
  const svg = h('svg', { width, height: HEIGHT, 'aria-hidden': true, focusable: false }, [
    h('rect', { class: 'lane', x: 0, y: RANGE_TOP, width, height: RANGE_HEIGHT, rx: 4 }),
    ...lines,
    ...bars,
    h('line', { class: 'axis', x1: 0, x2: width, y1: MARK_MIDDLE, y2: MARK_MIDDLE }),
    ...failed.map((group) => mark(group, 'mark failed')),
    ...done.map((group) => mark(group, 'mark')),
    h('line', { class: 'now', x1: x(now), x2: x(now), y1: 12, y2: AXIS }),
  ])
  const groupAt = (at: number) => nearest(done, at) ?? nearest(failed, at)
  return {
    svg,
    markAt: (at) => groupAt(at)?.marks.at(-1),
    countAt: (at) => groupAt(at)?.marks.length ?? 0,
  }
}

function mark({ x, marks }: Group<Mark>, kind: string): ComponentChild {
  if (marks.length === 1) return h('circle', { class: kind, cx: x, cy: MARK_MIDDLE, r: 4.5 })
  const text = marks.length > 999 ? `${Math.round(marks.length / 1000)}k` : String(marks.length)
  const half = Math.min(6 + Math.log2(marks.length), 4 + text.length * 3)
  const height = 8 + Math.min(10, Math.log2(marks.length) * 1.6)
  return h('g', null, [
    h('title', null, text),
    h('rect', {
      class: kind,
      x: x - Math.min(half, GAP / 2 - 0.5),
      y: MARK_MIDDLE - height / 2,
      width: 2 * Math.min(half, GAP / 2 - 0.5),
      height,
      rx: 4,
    }),
  ])
}

function nearest(groups: readonly Group<Mark>[], x: number): Group<Mark> | undefined {
  let best: Group<Mark> | undefined
  for (const group of groups) {
    const distance = Math.abs(group.x - x)
    if (distance <= REACH && (best === undefined || distance < Math.abs(best.x - x))) best = group
  }
  return best
}
