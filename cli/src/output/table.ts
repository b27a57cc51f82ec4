import Table from 'cli-table3'
import type { Colours } from './colour.js'

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
}

/** Columns lined up by two spaces, without borders, so that a line can be cut with awk and pasted anywhere. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], colours: Colours): string {
  const drawn = new Table({
    head: head.map((title) => colours.quiet(title)),
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [] },
  })
  for (const row of rows) drawn.push([...row])
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Every line moved right by `spaces`. */
export function indent(text: string, spaces = 2): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? line : ' '.repeat(spaces) + line))
    .join('\n')
}
