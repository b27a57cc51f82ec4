// Runs every test, with coverage, or those that it is given, without.
// The last line of output is `N passed, N failed[, N skipped]`.
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { cacheFolder } from '../conformance/dist/testbed/find-mongod.js'
import { countsLine, sum } from './reporter.mjs'
import { longestFirst, readTimes, slowestLines, writeTimes } from './test-times.mjs'

// Not in .mocharc.json, whose `spec` would be run in addition to files named on a command line.
const EVERY_TEST = '{core,plugins/*,agent,cli,conformance,create-pbmkit-plugin,bench}/dist/**/*.{spec,e2e}.js'

// Files side by side: most of the time of a test with real servers is waiting for an election or a process to end.
const SIDE_BY_SIDE = ['--parallel', '--jobs', process.env.PBMKIT_TEST_JOBS || '3']
// More than these have not failed because their servers were starved by those of others.
const MOST_AGAIN = 12

const named = process.argv.slice(2)
// A few files never reach the thresholds of .c8rc.json. Those are what is reached without the emulators of clouds, too.
// Counting costs a fifth to a third of the CPU, in every process that a test starts.
const withCoverage = named.length === 0 && process.env.PBMKIT_COVERAGE !== 'off'
const record = join(cacheFolder(), 'test-times.json')
const folder = mkdtempSync(join(tmpdir(), 'pbmkit-counts-'))
const cores = coreMs()
let counts
let slowest = []
try {
  const files = named.length > 0 ? named : longestFirst(globSync(EVERY_TEST), readTimes(record))
  const [program, ...before] = withCoverage ? ['c8', 'mocha'] : ['mocha']
  const first = run(program, [...before, ...SIDE_BY_SIDE, ...files])
  const times = Object.fromEntries(
    Object.entries(first.files).map(([file, { millis }]) => [relative('.', file), millis]),
  )
  slowest = slowestLines(times)
  if (named.length === 0 && !('' in first.files)) writeTimes(record, times)
  const failed = Object.keys(first.files).filter((file) => first.files[file].failed > 0)
  if (failed.length > 0 && failed.length <= MOST_AGAIN && !failed.includes('')) {
    console.log(
      `Failed beside others, and run again by themselves: ${failed.map((file) => relative('.', file)).join(', ')}`,
    )
    const second = run('mocha', failed)
    // A file that is not told of this time counts as it did before.
    const again = { ...first.files, ...second.files }
    counts = sum(Object.values(again))
    const covered = !withCoverage || spawnSync('c8', ['check-coverage'], { stdio: 'inherit' }).status === 0
    if (counts.failed === 0 && !(second.status === 0 && covered)) counts.failed = 1
  } else {
    counts = sum(Object.values(first.files))
    // Coverage below its threshold, or a run that broke off, is a failure too, though no test has failed.
    if (counts.failed === 0 && first.status !== 0) counts.failed = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const { busy, idle } = coreMs()
const share = (busy - cores.busy) / (busy - cores.busy + idle - cores.idle)
console.log(
  `The cores were busy for ${Math.round(share * 100)} % of the time. The slowest files, their hooks included:`,
)
for (const line of slowest) console.log(line)
console.log(countsLine(counts))
process.exitCode = counts.failed === 0 ? 0 : 1

/** Of all cores and everything that runs on them, since the machine was started. */
function coreMs() {
  let busy = 0
  let idle = 0
  for (const { times } of cpus()) {
    idle += times.idle
    busy += times.user + times.nice + times.sys + times.irq
  }
  return { busy, idle }
}

/** How the program ended, and the counts of each test file. */
function run(program, args) {
  const file = join(folder, 'counts.json')
  rmSync(file, { force: true })
  const { status } = spawnSync(program, args, {
    stdio: 'inherit',
    env: { ...process.env, PBMKIT_TEST_COUNTS: file },
  })
  try {
    return { status, files: JSON.parse(readFileSync(file, 'utf8')) }
  } catch {
    return { status, files: { '': { passed: 0, failed: 1, skipped: 0, millis: 0 } } }
  }
}
