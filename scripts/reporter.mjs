// Mocha's spec reporter, with one line of counts at the very end: `N passed, N failed[, N skipped]`.
// When PBMKIT_TEST_COUNTS names a file, the counts go there and the line is left to scripts/test.mjs, which has
// more to print before it.
import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export default class CountingReporter extends Mocha.reporters.Spec {
  epilogue() {
    if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures)
    const { passes, failures, pending } = this.stats
    const counts = { passed: passes, failed: failures, skipped: pending }
    const file = process.env.PBMKIT_TEST_COUNTS
    if (file) writeFileSync(file, JSON.stringify(counts))
    else console.log(countsLine(counts))
  }
}

export function countsLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
