/** What part of time is shown, Unix seconds. */
export interface View {
  readonly from: number
  readonly to: number
}

/** Nothing is shown larger: a second is as exact as a restore can be asked for. */
const SHORTEST = 60

/** Makes `view` shorter by `factor` (longer below 1) around a moment, which stays where it is; within `whole`. */
export function zoomed(view: View, factor: number, around: number, whole: View): View {
  const length = Math.min(Math.max((view.to - view.from) / factor, SHORTEST), whole.to - whole.from)
  const share = (around - view.from) / (view.to - view.from)
  return within({ from: around - share * length, to: around + (1 - share) * length }, whole)
}

export function moved(view: View, seconds: number, whole: View): View {
  return within({ from: view.from + seconds, to: view.to + seconds }, whole)
}

/** The view, put back inside without changing its length where that fits. */
export function within(view: View, whole: View): View {
  const length = Math.min(view.to - view.from, whole.to - whole.from)
  const from = Math.min(Math.max(view.from, whole.from), whole.to - length)
  return { from, to: from + length }
}

/** So that a moment is seen, with as much around it as before. */
export function showing(view: View, moment: number, whole: View): View {
  if (moment >= view.from && moment <= view.to) return view
  return moved(view, moment - (view.from + view.to) / 2, whole)
}

export function positionOf(seconds: number, view: View, width: number): number {
  return ((seconds - view.from) / (view.to - view.from)) * width
}

export function momentAt(position: number, view: View, width: number): number {
  return Math.round(view.from + (position / width) * (view.to - view.from))
}

/** Marks so close to each other that they are drawn as one. */
export interface Group<Mark> {
  /** Where, in pixels: the middle of what it holds. */
  readonly x: number
  readonly marks: readonly Mark[]
}

/** Joins what is nearer than `gap` pixels to the first of its group. `marks` in order of time; those in view only. */
export function grouped<Mark extends { readonly at: number }>(
  marks: readonly Mark[],
  view: View,
  { width, gap }: { readonly width: number; readonly gap: number },
): Group<Mark>[] {
  const groups: { start: number; marks: Mark[] }[] = []
  for (const mark of marks) {
    if (mark.at < view.from || mark.at > view.to) continue
    const x = positionOf(mark.at, view, width)
    const last = groups.at(-1)
    if (last !== undefined && x - last.start < gap) last.marks.push(mark)
    else groups.push({ start: x, marks: [mark] })
  }
  return groups.map(({ marks: own, start }) => {
    const end = positionOf(own.at(-1)?.at ?? 0, view, width)
    return { x: (start + end) / 2, marks: own }
  })
}

export interface Tick {
  readonly at: number
  readonly label: string
  /** It begins a day, month or year that the ones before were not in. */
  readonly isMajor: boolean
}

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400
const STEPS: readonly number[] = [
  ...[10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE],
  ...[HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY],
]
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const

/** Round moments in UTC, about one each `spacing` pixels. */
export function ticks(view: View, width: number, spacing = 110): Tick[] {
  const most = Math.max(2, Math.floor(width / spacing))
  const step = STEPS.find((each) => (view.to - view.from) / each <= most)
  const moments = step === undefined ? months(view, most) : regular(view, step)
  let day = ''
  return moments.map((at) => {
    const date = new Date(at * 1000)
    const time = date.toISOString()
    const isMajor = time.slice(0, 10) !== day
    day = time.slice(0, 10)
    return { at, isMajor, label: label(date, time, step, isMajor) }
  })
}

function label(date: Date, time: string, step: number | undefined, isMajor: boolean): string {
  const month = MONTHS[date.getUTCMonth()] ?? ''
  if (step === undefined) return date.getUTCMonth() === 0 ? String(date.getUTCFullYear()) : month
  if (step >= DAY || isMajor) return `${date.getUTCDate()} ${month}${step < DAY ? ` ${time.slice(11, 16)}` : ''}`
  return step < MINUTE ? time.slice(11, 19) : time.slice(11, 16)
}

function regular({ from, to }: View, step: number): number[] {
  const found: number[] = []
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at)
  return found
}

function months({ from, to }: View, most: number): number[] {
  const begin = new Date(from * 1000)
  const all = (to - from) / (30 * DAY)
  const step = [1, 3, 6, 12, 24, 60].find((each) => all / each <= most) ?? 120
  const found: number[] = []
  const first = begin.getUTCFullYear() * 12
  for (let month = first; ; month += step) {
    const at = Date.UTC(Math.floor(month / 12), month % 12) / 1000
    if (at > to) return found
    if (at >= from) found.push(at)
  }
}
