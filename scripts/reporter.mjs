// Mocha's spec reporter, with one line of counts at the very end: `N passed, N failed[, N skipped]`.
// When PBMKIT_TEST_COUNTS names a file, the counts and the time of each test file go there and the line is left to
// scripts/test.mjs, which has more to print before it.
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_TEST_END, EVENT_HOOK_END } = Mocha.Runner.constants

export default class CountingReporter extends Mocha.reporters.Spec {
  files = {}

  constructor(runner, options) {
    super(runner, options)
    const of = (file = '') => {
      this.files[file] ??= { passed: 0, failed: 0, skipped: 0, millis: 0 }
      return this.files[file]
    }
    const count = (what) => (test) => of(test.file)[what]++
    runner.on(EVENT_TEST_PASS, count('passed'))
    runner.on(EVENT_TEST_FAIL, count('failed'))
    runner.on(EVENT_TEST_PENDING, count('skipped'))
    // Hooks too: they start the servers.
    for (const event of [EVENT_TEST_END, EVENT_HOOK_END])
      runner.on(event, ({ file, duration = 0 }) => {
        if (file) of(file).millis += duration
      })
  }

  epilogue() {
    if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures)
    const file = process.env.PBMKIT_TEST_COUNTS
    if (file) writeFileSync(file, JSON.stringify(this.files))
    else console.log(countsLine(sum(Object.values(this.files))))
  }
}

export function sum(counts) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const one of counts) for (const what of Object.keys(total)) total[what] += one[what]
  return total
}

export function countsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
