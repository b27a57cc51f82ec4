import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { systemClock } from '@pbmkit/core'
import { type Format, Output } from '../output/output.js'
import type { OverallProgress } from './progress.js'
import { showProgress } from './progress-bar.js'

/** What is told of one progress a second for 25 s, without a terminal. */
function told(format: Format): string[] {
  let text = ''
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  let now = 0
  const clock = { ...systemClock, now: () => now }
  const output = new Output(format, stderr, stderr, {})
  const display = showProgress({ output, io: { stderr }, clock }, 'backup', 'X')
  for (; now <= 25_000; now += 1000) {
    const bytes = 1024 ** 2 * (now / 1000)
    const figures = { bytes, totalBytes: 1024 ** 3, documents: 0, totalDocuments: 0, bytesPerSecond: 1024 ** 2 }
    const progress: OverallProgress = { phase: 'collections', secondsLeft: 60, ...figures }
    display.update('running', progress)
  }
  display.stop()
  return text.trim().split('\n')
}

describe('progress without a terminal', () => {
  it('is plain lines, one each 10 s', () => {
    assert.deepEqual(told('text'), [
      'backup X: 0%, collections, 1.0 MiB/s, 1m00s left',
      'backup X: 0%, collections, 10.0 MiB of 1.0 GiB, 1.0 MiB/s, 1m00s left',
      'backup X: 1%, collections, 20.0 MiB of 1.0 GiB, 1.0 MiB/s, 1m00s left',
    ])
  })

  it('is a JSON line for each change with -o json', () => {
    const lines = told('json').map((line) => JSON.parse(line) as { progress: { bytes: number } })
    assert.equal(lines.length, 26)
  })
})
