// Loaded into the test runner by scripts/fuzz.mjs: gives every property a seed that is told, and counts what was tried.
import { appendFileSync } from 'node:fs'
import fc from 'fast-check'

const { PBMKIT_FUZZ_SEED: seed, PBMKIT_FUZZ_COUNTS: counts } = process.env

fc.configureGlobal({
  seed: Number(seed),
  reporter: (details) => {
    appendFileSync(counts, `${details.numRuns}\n`)
    if (details.failed) throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance ?? undefined })
  },
})
