import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from './files.js'

describe('times of test files', () => {
  const root = repositoryRoot()
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pbmkit-test-times-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('are counted with the hooks, also where files run side by side', () => {
    const file = join(folder, 'slow.spec.mjs')
    const counts = join(folder, 'counts.json')
    const wait = '() => new Promise((resolve) => setTimeout(resolve, 100))'
    writeFileSync(
      file,
      `describe('slow', () => { before(${wait}); it('works', ${wait}); it('not', function () { this.skip() }) })`,
    )
    execFileSync(join(root, 'node_modules', '.bin', 'mocha'), ['--parallel', '--jobs', '2', file, file], {
      cwd: root,
      env: { ...process.env, PBMKIT_TEST_COUNTS: counts },
      stdio: 'pipe',
    })
    const told = JSON.parse(readFileSync(counts, 'utf8')) as Record<string, Record<string, number>>
    const { millis = 0, ...rest } = told[file] ?? {}
    assert.deepEqual(rest, { passed: 1, failed: 0, skipped: 1 })
    // Timers may fire a millisecond early.
    assert.ok(millis >= 190, `${millis} ms`)
  })

  it('put the longest first, and name the slowest', () => {
    const program = `
      import { longestFirst, slowestLines, readTimes, writeTimes } from ${JSON.stringify(pathToFileURL(join(root, 'scripts', 'test-times.mjs')).href)}
      const record = ${JSON.stringify(join(folder, 'cache', 'times.json'))}
      const none = readTimes(record)
      writeTimes(record, { 'b.e2e.js': 90000, 'a.spec.js': 10, 'c.spec.js': 40000 })
      const files = ['a.spec.js', 'b.e2e.js', 'c.spec.js', 'd.spec.js', 'e.e2e.js', 'f.e2e.js']
      console.log(JSON.stringify([longestFirst(files, none), longestFirst(files, readTimes(record)), slowestLines(readTimes(record), 2)]))`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    assert.deepEqual(JSON.parse(output), [
      ['b.e2e.js', 'e.e2e.js', 'f.e2e.js', 'a.spec.js', 'c.spec.js', 'd.spec.js'],
      ['b.e2e.js', 'c.spec.js', 'e.e2e.js', 'f.e2e.js', 'd.spec.js', 'a.spec.js'],
      ['    90.0 s  b.e2e.js', '    40.0 s  c.spec.js'],
    ])
  })
})
