import assert from 'node:assert/strict'
import { Timestamp } from 'mongodb'
import { ManualClock } from '../time/manual-clock.support.js'
import { type Repair, Repairs } from './repair-runner.js'

describe('repairs', () => {
  const met = { now: new Timestamp({ t: 1, i: 1 }), locks: [], backups: [], restores: [] }
  const { signal } = new AbortController()
  const warnings: string[] = []
  const nothing = () => undefined
  const log = { debug: nothing, info: nothing, warning: (text: string) => void warnings.push(text), error: nothing }

  it('run each as often as it says, and all though one fails', async () => {
    const clock = new ManualClock()
    const ran: string[] = []
    const repair = (name: string, everyMs: number, fault?: string): Repair => ({
      name,
      everyMs,
      run: async () => {
        ran.push(name)
        if (fault !== undefined) throw new Error(fault)
      },
    })
    const repairs = new Repairs([repair('first', 0, 'no primary'), repair('second', 10_000)], { clock, log })
    await repairs.run(met, signal)
    clock.jump(9_999)
    await repairs.run(met, signal)
    clock.jump(1)
    await repairs.run(met, signal)
    assert.deepEqual(ran, ['first', 'second', 'first', 'first', 'second'])
    assert.deepEqual(warnings, Array(3).fill('first failed and is tried again: no primary'))
  })
})
