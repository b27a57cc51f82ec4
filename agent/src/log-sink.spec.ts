import assert from 'node:assert/strict'
import type { LogOutput } from './log-output.js'
import { LogSink } from './log-sink.js'

/** Takes a few bytes at a time, or fails, or waits for ever. */
class FaultyOutput implements LogOutput {
  taken = ''
  state: 'well' | 'full' | 'silent' = 'well'
  /** Until it is full. */
  room = Number.POSITIVE_INFINITY

  write(bytes: Buffer): Promise<number> {
    if (this.state === 'silent') return new Promise(() => undefined)
    const size = Math.min(bytes.length, 7, this.room)
    if (this.state === 'full' || size === 0) return Promise.reject(new Error('ENOSPC: no space left'))
    this.room -= size
    this.taken += bytes.subarray(0, size).toString()
    return Promise.resolve(size)
  }

  async close(): Promise<void> {
    this.taken += '(closed)'
  }
}

function sinkTo(output: LogOutput, heldBytes = 100): LogSink {
  return new LogSink({ output, heldBytes, lossLine: (lost, why) => `lost ${lost}: ${why}\n` })
}

describe('lines of the log on their way', () => {
  it('come whole and in order', async () => {
    const output = new FaultyOutput()
    const sink = sinkTo(output)
    sink.write('a first line\n')
    sink.write('a second one\n')
    assert.ok(await sink.drain(1000))
    assert.equal(output.taken, 'a first line\na second one\n')
  })

  it('are kept within a bound while the output is full, and what was lost is told', async () => {
    const output = new FaultyOutput()
    output.room = 4
    const sink = sinkTo(output)
    sink.write('begun and never lost\n')
    assert.equal(await sink.drain(20), false)
    for (let line = 10; line < 30; line++) sink.write(`line ${line}\n`)
    output.room = Number.POSITIVE_INFINITY
    assert.ok(await sink.drain(5000))
    const kept = Array.from({ length: 12 }, (_, line) => `line ${line + 18}\n`).join('')
    assert.equal(output.taken, `begun and never lost\nlost 8: ENOSPC: no space left\n${kept}`)
  })

  it('keep nobody where the output never answers', async () => {
    const output = new FaultyOutput()
    output.state = 'silent'
    const sink = sinkTo(output)
    for (let line = 0; line < 1000; line++) sink.write(`line ${line}\n`)
    assert.equal(await sink.drain(1), false)
  })

  it('go to the next output, also where the one before is full', async () => {
    const [before, after] = [new FaultyOutput(), new FaultyOutput()]
    const sink = sinkTo(before)
    sink.write('one\n')
    assert.ok(await sink.drain(1000))
    before.state = 'full'
    sink.write('two\n')
    assert.equal(await sink.drain(20), false)
    sink.replace(after)
    assert.ok(await sink.drain(5000))
    assert.deepEqual([before.taken, after.taken], ['one\n(closed)', 'two\n'])
  })
})
