import { type Cell, POINTS } from './cell.js'
import { FAULTS } from './faults.js'

const START = '<!-- faults: made by npm run faults -->\n'
const END = '<!-- end of faults -->'

/** The page with its table brought up to date. Cells that were not run are as they were. */
export function pageWith(page: string, cells: ReadonlyMap<string, Cell>): string {
  const [from, to] = [page.indexOf(START), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error('the page has no place for the table')
  const known = cellsOf(page.slice(from + START.length, to))
  const columns = POINTS.map(({ operation, state }) => `${operation} ${state}`)
  const rows = FAULTS.map(({ name }) => {
    const row = columns.map((point) => {
      const what = `${point}: ${name}`
      const cell = cells.get(what)
      return cell === undefined ? (known.get(what) ?? 'not run') : textOf(cell)
    })
    return `| ${[name, ...row].join(' | ')} |\n`
  })
  const head = `| fault | ${columns.join(' | ')} |\n|${' --- |'.repeat(columns.length + 1)}\n`
  return `${page.slice(0, from)}${START}${head}${rows.join('')}${page.slice(to)}`
}

function textOf({ outcome, seconds, findings }: Cell): string {
  if (findings.length > 0) return `**${outcome}**`
  return seconds === undefined ? outcome : `${outcome}, ${seconds} s`
}

function cellsOf(table: string): Map<string, string> {
  const [head = [], , ...rows] = table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  const points = head.slice(1)
  return new Map(rows.flatMap(([fault = '', ...row]) => row.map((text, index) => [`${points[index]}: ${fault}`, text])))
}
