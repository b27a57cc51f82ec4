import assert from 'node:assert/strict'
import { overallProgress, progressLine } from './progress.js'

const told = (bytes: number, totalBytes: number) => ({
  progress: {
    phase: 'collections',
    bytes,
    totalBytes,
    documents: 1000,
    totalDocuments: 2000,
    startedAt: 10_000,
    updatedAt: 12_000,
  },
})

describe('progress', () => {
  it('is undefined as long as no replica set tells anything', () => {
    assert.equal(overallProgress([]), undefined)
    assert.equal(overallProgress([{}]), undefined)
  })

  it('sums the replica sets and tells speed and time left', () => {
    assert.deepEqual(overallProgress([told(1000, 4000), told(1000, 2000), {}]), {
      phase: 'collections',
      bytes: 2000,
      totalBytes: 6000,
      documents: 2000,
      totalDocuments: 4000,
      bytesPerSecond: 1000,
      secondsLeft: 4,
    })
  })

  it('never shows more than all, where the estimate was low', () => {
    const progress = overallProgress([told(5000, 4000)])
    assert.equal(progress?.totalBytes, 5000)
    assert.equal(progress?.secondsLeft, undefined)
    assert.match(progressLine('backup', 'running', progress, 200), /100%/)
  })

  it('draws one line with bytes, documents, speed and time left', () => {
    assert.equal(
      progressLine('backup X', 'running', overallProgress([told(1_048_576, 4_194_304)]), 200),
      'backup X  ██████░░░░░░░░░░░░░░░░░░   25%  collections  1.0 MiB of 4.0 MiB  1,000 documents  512.0 KiB/s  6s left',
    )
    assert.equal(progressLine('backup X', 'starting', undefined, 200), 'backup X  starting')
  })

  it('keeps speed and time left longest', () => {
    const progress = overallProgress([told(1_048_576, 4_194_304)])
    for (const columns of [130, 90, 70, 60, 50])
      assert.match(
        progressLine('backup 2031-02-03T04:05:06Z', 'running', progress, columns),
        /512\.0 KiB\/s {2}6s left$/,
      )
  })

  it('fits any terminal', () => {
    for (const columns of [1, 20, 40, 60, 80])
      assert.ok(progressLine('backup X', 'running', overallProgress([told(10, 40)]), columns).length <= columns)
  })
})
