/*
 * Runs the tests of other servers, which are installed by packages of them, and writes what came of it into docs/versions.md:
 *   npm run test:versions                     all that are known
 *   npm run test:versions -- 5.0.32 6.0.27    these, older before newer; rows of others stay
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OTHER_VERSIONS } from '../conformance/dist/testbed/index.js'

const START = '<!-- versions: made by npm run test:versions -->\n'
const END = '<!-- end of versions -->\n'
const HEAD =
  '| MongoDB | Backup, restore | Point in time, one collection | Backups of older servers | Sharded |\n|---|---|---|---|---|\n'

/** Titles of the tests, as they stand in agent/e2e/versions.e2e.ts, by column. */
const COLUMNS = [
  { 'backup and restore': 'yes' },
  { 'point in time, one collection': 'yes' },
  { 'backups of older servers': 'yes' },
  { 'sharded backup, point in time': 'yes', 'sharded backup; a restore is refused': 'backup only' },
]

function rowOf(version, tests) {
  const cells = COLUMNS.map((column) => {
    const ran = tests.find(({ fullTitle }) => Object.keys(column).some((title) => fullTitle.endsWith(` ${title}`)))
    if (ran === undefined) return 'not run'
    const [, word] = Object.entries(column).find(([title]) => ran.fullTitle.endsWith(` ${title}`))
    return Object.keys(ran.err).length === 0 ? word : '**fails**'
  })
  return `| ${[version, ...cells].join(' | ')} |`
}

const versions = process.argv.length > 2 ? process.argv.slice(2) : OTHER_VERSIONS
const folder = mkdtempSync(join(tmpdir(), 'pbmkit-versions-'))
try {
  const report = join(folder, 'report.json')
  console.log(`testing with MongoDB ${versions.join(', ')}: some minutes each`)
  const args = ['--reporter', 'json', '--reporter-option', `output=${report}`, 'agent/dist/e2e/versions.e2e.js']
  const env = { ...process.env, PBMKIT_SERVERS: versions.join() }
  const { status } = spawnSync('mocha', args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const { tests, failures } = JSON.parse(readFileSync(report, 'utf8'))
  const page = new URL('../docs/versions.md', import.meta.url)
  const text = readFileSync(page, 'utf8')
  const [from, to] = [text.indexOf(START) + START.length, text.indexOf(END)]
  const rows = new Map(
    text
      .slice(from, to)
      .split('\n')
      .flatMap((line) => (/^\| \d/.test(line) ? [[line.split(' ')[1], line]] : [])),
  )
  for (const version of versions)
    rows.set(
      version,
      rowOf(
        version,
        tests.filter(({ fullTitle }) => fullTitle.startsWith(`MongoDB ${version} `)),
      ),
    )
  const sorted = [...rows].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })).map(([, row]) => `${row}\n`)
  const table = `${HEAD}${sorted.join('')}`
  writeFileSync(page, `${text.slice(0, from)}${table}${text.slice(to)}`)
  console.log(table)
  for (const { fullTitle, err } of failures) console.error(`${fullTitle}: ${err.message}\n`)
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
