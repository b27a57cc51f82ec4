import assert from 'node:assert/strict'
import { MongoNetworkError } from 'mongodb'
import { PbmError } from '../errors.js'
import { ManualClock } from '../time/manual-clock.support.js'
import { throughElections } from './through-elections.js'

describe('what is read through elections', () => {
  const lines: string[] = []
  const ignore = () => undefined
  const log = { debug: ignore, info: ignore, error: ignore, warning: (text: string) => void lines.push(text) }
  const lost = new MongoNetworkError('connection closed')

  /** Fails with each of these in turn, then gives the number of its calls. */
  async function read(failures: readonly Error[], signal = new AbortController().signal): Promise<number> {
    const clock = new ManualClock()
    let calls = 0
    lines.splice(0)
    let ended = false
    const work = async () => {
      const failure = failures[calls++]
      if (failure !== undefined) throw failure
      return calls
    }
    const reading = throughElections('the list', work, { clock, signal, log }).finally(() => {
      ended = true
    })
    reading.catch(() => undefined)
    while (!ended) await clock.advance(1_000)
    return reading
  }

  it('is read again after the loss of a server, and the loss is told', async () => {
    assert.equal(await read([lost, new PbmError('CURSOR_LOST', 'the cursor is gone')]), 3)
    assert.deepEqual(lines, ['the list is read again: connection closed', 'the list is read again: the cursor is gone'])
  })

  it('is given up when it goes on, with other failures, and when it is stopped', async () => {
    await assert.rejects(read([lost, lost, lost]), lost)
    const ours = new PbmError('COLLECTION_MISSING', 'no such collection')
    await assert.rejects(read([ours]), ours)
    assert.deepEqual(lines, [])
    await assert.rejects(read([lost], AbortSignal.abort(new Error('canceled'))), /canceled/)
  })
})
