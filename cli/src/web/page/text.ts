import { UNSEEN } from '../action-line.js'

const ALL_UNSEEN = new RegExp(UNSEEN.source, 'gu')

/** A name as it may be shown: what would end a line, or turn text around, stands as `\u202e`. */
export function visible(name: string): string {
  return name.replace(ALL_UNSEEN, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`)
}

/** Of many lines: their ends stay. */
export function visibleText(text: string): string {
  return text.split('\n').map(visible).join('\n')
}

/** `2031-02-03 04:05:06`, UTC. */
export function utc(seconds: number): string {
  return iso(seconds).replace('T', ' ')
}

/** `2031-02-03T04:05:06`, UTC, as the command line takes it. */
export function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19)
}

/** Unix seconds of such a text; undefined for what is none. */
export function secondsOf(text: string): number | undefined {
  const full = /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text) ? `${text}:00` : text
  const millis = Date.parse(`${full}Z`)
  return Number.isNaN(millis) ? undefined : Math.floor(millis / 1000)
}

const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
]

/** `3 hours`, in the largest unit of which there are two, or one exactly. */
export function span(seconds: number): string {
  const positive = Math.max(0, Math.round(seconds))
  const [name, length] = UNITS.find(([, unit]) => positive >= 2 * unit || positive === unit) ?? ['second', 1]
  const count = Math.round(positive / length)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** `3 hours ago`. */
export function ago(seconds: number, now: number): string {
  const past = now - seconds
  return past < 5 ? 'just now' : `${span(past)} ago`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`
}
