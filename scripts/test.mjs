// Runs every test with coverage. The last line of output is `N passed, N failed[, N skipped]`.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countsLine } from './reporter.mjs'

// Not in .mocharc.json, whose `spec` would be run in addition to files named on a command line.
const EVERY_TEST = '{core,plugins/*,agent,cli,conformance,create-pbmkit-plugin,bench}/dist/**/*.{spec,e2e}.js'

// Files side by side: most of the time of a test with real servers is waiting for an election or a process to end.
const SIDE_BY_SIDE = ['--parallel', '--jobs', '3']

const named = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'pbmkit-counts-'))
const file = join(folder, 'counts.json')
let counts
try {
  // A few files never reach the thresholds of .c8rc.json. Those are what is reached without the emulators of clouds, too.
  const coverage = named.length > 0 ? ['--check-coverage=false'] : []
  const tests = named.length > 0 ? named : [EVERY_TEST]
  const { status } = spawnSync('c8', [...coverage, 'mocha', ...SIDE_BY_SIDE, ...tests], {
    stdio: 'inherit',
    env: { ...process.env, PBMKIT_TEST_COUNTS: file },
  })
  counts = readCounts()
  // Coverage below its threshold, or a run that broke off, is a failure too, though no test has failed.
  if (status !== 0 && counts.failed === 0) counts.failed = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(countsLine(counts))
process.exitCode = counts.failed === 0 ? 0 : 1

function readCounts() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}
