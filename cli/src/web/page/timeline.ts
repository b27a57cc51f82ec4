import { type ComponentChild, h } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type Mark, momentOf, type Past, wholeOf } from './moments.js'
import { momentAt, moved, positionOf, showing, type View, zoomed } from './scale.js'
import { count, span, utc } from './text.js'
import { drawing } from './timeline-drawing.js'

const DAY = 86_400
const PRESETS: readonly (readonly [text: string, seconds: number])[] = [
  ['Day', DAY],
  ['Week', 7 * DAY],
  ['Month', 31 * DAY],
  ['Year', 366 * DAY],
]
/** Pixels a pointer may move in a click. */
const CLICK_SLOP = 4
/** Above it, a pointer means the second; below, the backup. */
const MARKS_FROM = 58

export interface TimelineProps {
  readonly past: Past
  readonly now: number
  /** What is chosen: a moment, and the backup where it is one. */
  readonly chosen: { readonly at: number; readonly backup?: string } | undefined
  readonly onChoose: (chosen: { at: number; backup?: string }) => void
  readonly onGo: () => void
}

/**
 * All that can be gone back to, along time. A pointer zooms by its wheel, moves by dragging and chooses by a click; the
 * keyboard moves the chosen moment, as a slider's.
 */
export function Timeline({ past, now, chosen, onChoose, onGo }: TimelineProps): ComponentChild {
  // By the minute, so that nothing trembles.
  const minute = Math.floor(now / 60) * 60
  const whole = useMemo(() => wholeOf(past, minute), [past, minute])
  const [asked, setAsked] = useState<View | undefined>()
  const view = asked ?? whole
  const [hovered, setHovered] = useState<number | undefined>()
  const [isLow, setLow] = useState(false)
  const { element, width } = useWidth()
  const drag = useRef<{ x: number; from: View; isMoved: boolean } | undefined>(undefined)

  const place = (event: MouseEvent) => event.clientX - (element.current?.getBoundingClientRect().left ?? 0)
  const isAtMarks = (event: MouseEvent) =>
    event.clientY - (element.current?.getBoundingClientRect().top ?? 0) > MARKS_FROM
  const show = (next: View) => setAsked(next.to - next.from >= whole.to - whole.from ? undefined : next)
  const zoom = (factor: number, around = chosen?.at ?? (view.from + view.to) / 2) =>
    show(zoomed(view, factor, Math.min(Math.max(around, view.from), view.to), whole))

  // A listener of Preact is passive, and could not keep the page from being scrolled.
  useEffect(() => {
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault()
        const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)
        const by = event.deltaX === 0 ? event.deltaY : event.deltaX
        if (isSideways) show(moved(view, (by / width) * (view.to - view.from), whole))
        else zoom(event.deltaY < 0 ? 1.25 : 0.8, momentAt(place(event), view, width))
        return
      }
      event.preventDefault()
      zoom(event.deltaY < 0 ? 1.25 : 0.8, momentAt(place(event), view, width))
    }
    const own = element.current
    own?.addEventListener('wheel', onWheel, { passive: false })
    return () => own?.removeEventListener('wheel', onWheel)
  })

  const choose = (at: number, mark?: Mark) => {
    const next = mark === undefined ? { at } : { at: mark.at, backup: mark.snapshot.name }
    onChoose(next)
    if (asked !== undefined) show(showing(view, next.at, whole))
  }
  const key = (event: KeyboardEvent) => {
    const at = chosen?.at ?? momentAt(width / 2, view, width)
    const step = Math.max(1, Math.round((view.to - view.from) / (event.shiftKey ? 40 : 400)))
    const marks = past.backups
    const moves: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => choose(at - step),
      ArrowRight: () => choose(at + step),
      PageDown: () => choose(at, marks.findLast((mark) => mark.at < at) ?? marks[0]),
      PageUp: () => choose(at, marks.find((mark) => mark.at > at) ?? marks.at(-1)),
      Home: () => choose(whole.from),
      End: () => choose(now),
      '+': () => zoom(2),
      '=': () => zoom(2),
      '-': () => zoom(0.5),
      Enter: onGo,
    }
    const move = moves[event.key]
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    move()
  }
  const picture = useMemo(() => drawing({ past, view, width, now: minute }), [past, view, width, minute])
  const pointed = hovered === undefined ? undefined : momentAt(hovered, view, width)
  const markAt = hovered === undefined || !isLow ? undefined : picture.markAt(hovered)

  return h('div', { class: 'timeline' }, [
    h('div', { class: 'timeline-tools', role: 'group', 'aria-label': 'What of the time line is shown' }, [
      ...PRESETS.map(([text, seconds]) =>
        h(
          'button',
          {
            ...{ type: 'button', class: 'small', disabled: whole.to - whole.from < seconds },
            onClick: () => show({ from: whole.to - seconds, to: whole.to }),
          },
          text,
        ),
      ),
      h('button', { type: 'button', class: 'small', onClick: () => setAsked(undefined) }, 'All'),
      h('button', { type: 'button', class: 'small', 'aria-label': 'Zoom out', onClick: () => zoom(0.5) }, '−'),
      h('button', { type: 'button', class: 'small', 'aria-label': 'Zoom in', onClick: () => zoom(2) }, '+'),
    ]),
    h(
      'div',
      {
        ...{ ref: element, class: 'timeline-field', tabIndex: 0, role: 'slider', id: 'moment' },
        ...{ 'aria-label': 'Moment to go back to', 'aria-describedby': 'timeline-help' },
        ...{ 'aria-valuemin': whole.from, 'aria-valuemax': whole.to, 'aria-valuenow': chosen?.at ?? whole.to },
        'aria-valuetext': chosen === undefined ? 'nothing chosen' : spoken(chosen.at, past),
        onKeyDown: key,
        onPointerDown: (event: PointerEvent) => {
          drag.current = { x: place(event), from: view, isMoved: false }
          element.current?.setPointerCapture(event.pointerId)
        },
        onPointerMove: (event: PointerEvent) => {
          const x = place(event)
          setHovered(x)
          setLow(isAtMarks(event))
          const { current } = drag
          if (current === undefined) return
          if (Math.abs(x - current.x) > CLICK_SLOP) current.isMoved = true
          if (current.isMoved)
            show(moved(current.from, ((current.x - x) / width) * (current.from.to - current.from.from), whole))
        },
        onPointerUp: (event: PointerEvent) => {
          const wasMoved = drag.current?.isMoved
          drag.current = undefined
          if (wasMoved !== false) return
          const x = place(event)
          choose(momentAt(x, view, width), isAtMarks(event) ? picture.markAt(x) : undefined)
        },
        onPointerCancel: () => {
          drag.current = undefined
        },
        onPointerLeave: () => setHovered(undefined),
      },
      [
        picture.svg,
        chosen === undefined
          ? null
          : h('div', {
              class: 'chosen',
              style: { left: `${positionOf(chosen.at, view, width)}px` },
              hidden: chosen.at < view.from || chosen.at > view.to,
            }),
        hovered === undefined || pointed === undefined
          ? null
          : h(
              'div',
              {
                class: `hint${hovered > width / 2 ? ' to-left' : ''}`,
                style: { left: `${hovered}px` },
                'aria-hidden': true,
              },
              h(
                'div',
                { class: 'hint-text' },
                markAt === undefined ? hintOf(pointed, past) : hintOfMark(markAt, picture.countAt(hovered)),
              ),
            ),
      ],
    ),
    h('p', { id: 'timeline-help', class: 'quiet legend' }, [
      h('span', { class: 'key key-range' }, 'any second'),
      h('span', { class: 'key key-unbacked' }, 'oplog without a backup'),
      h('span', { class: 'key key-backup' }, 'backup'),
      h('span', { class: 'key key-failed' }, 'failed'),
      h('span', { class: 'help' }, 'Wheel or + − zooms, dragging moves, a click or the arrow keys choose.'),
    ]),
  ])
}

function hintOf(at: number, past: Past): ComponentChild[] {
  const { canBeRestored, lacksBase, before } = momentOf(at, past)
  const word = canBeRestored ? 'can be restored' : lacksBase ? 'no backup leads here' : 'not this second'
  const newest = before === undefined ? 'no backup before' : `newest backup ${span(at - before.at)} before`
  return [h('strong', null, utc(at)), h('span', null, word), h('span', { class: 'quiet' }, newest)]
}

function hintOfMark({ at, snapshot }: Mark, marks: number): ComponentChild[] {
  const isDone = snapshot.printStatus === 'success'
  return [
    h('strong', null, utc(at)),
    h('span', null, marks > 1 ? `${count(marks, 'backup')} here: zoom in` : `${snapshot.type} backup`),
    ...(isDone ? [] : [h('span', { class: 'quiet' }, snapshot.status === 'canceled' ? 'canceled' : 'failed')]),
  ]
}

function spoken(at: number, past: Past): string {
  const { canBeRestored, before } = momentOf(at, past)
  if (before?.at === at) return `${utc(at)} UTC, backup`
  return `${utc(at)} UTC, ${canBeRestored ? 'can be restored' : 'can not be restored'}`
}

function useWidth() {
  const element = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(800)
  useLayoutEffect(() => {
    const own = element.current
    if (own === null) return
    const observer = new ResizeObserver(() => setWidth(Math.max(200, own.clientWidth)))
    observer.observe(own)
    setWidth(Math.max(200, own.clientWidth))
    return () => observer.disconnect()
  }, [])
  return { element, width }
}
