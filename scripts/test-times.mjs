// How long each test file took in the last whole run on this machine, so that the longest begin first and none is left
// alone at the end. Kept outside the clone: a fresh one on the same machine knows them as well.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

// Of a file that has never run here, in milliseconds: one with servers takes longer than most, one without does not.
const UNKNOWN = { e2e: 30_000, spec: 500 }

/** Milliseconds by file. */
export function readTimes(record) {
  try {
    return JSON.parse(readFileSync(record, 'utf8'))
  } catch {
    return {}
  }
}

export function writeTimes(record, times) {
  try {
    mkdirSync(dirname(record), { recursive: true })
    writeFileSync(record, JSON.stringify(times, undefined, 1))
  } catch (error) {
    // The next run is in another order, and no worse.
    console.error(`The times of the tests can't be kept: ${error.message}`)
  }
}

export function longestFirst(files, times) {
  const time = (file) => times[file] ?? (file.endsWith('.e2e.js') ? UNKNOWN.e2e : UNKNOWN.spec)
  return [...files].sort((a, b) => time(b) - time(a) || (a < b ? -1 : 1))
}

/** One line for each of the files that took longest. */
export function slowestLines(times, most = 10) {
  return Object.entries(times)
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([file, millis]) => `${(millis / 1000).toFixed(1).padStart(8)} s  ${file}`)
}
