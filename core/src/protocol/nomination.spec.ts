import assert from 'node:assert/strict'
import { ManualClock } from '../time/manual-clock.support.js'
import { type Ballot, nominate } from './nomination.js'

const ignore = () => undefined
const log = { debug: ignore, info: ignore, warning: ignore, error: ignore }

describe('a nomination', () => {
  /** Each write takes `writeMs`; the nominee answers after four of them. */
  async function elected(writeMs: number): Promise<string | undefined> {
    const clock = new ManualClock()
    let answer = Number.POSITIVE_INFINITY
    const ballot: Ballot = {
      what: 'rs0',
      everyMs: 500,
      open: async () => undefined,
      ask: async () => {
        clock.jump(writeMs)
        answer = clock.now() + 4 * writeMs
        return true
      },
      winner: async () => (clock.now() >= answer ? 'a:1' : ''),
    }
    const nominated = nominate(ballot, { groups: [['a:1']], signal: new AbortController().signal, log, clock })
    let over = false
    nominated.finally(() => {
      over = true
    })
    while (!over) {
      await clock.advance(500)
    }
    return await nominated
  }

  it('waits for an answer as long as a majority needs for it', async () => {
    for (const writeMs of [10, 2_000, 5_000, 20_000]) assert.equal(await elected(writeMs), 'a:1', `${writeMs} ms`)
  })
})
