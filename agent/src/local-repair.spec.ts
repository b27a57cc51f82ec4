import assert from 'node:assert/strict'
import { LocalRepair } from './local-repair.js'

describe('what is repaired beside an agent', () => {
  const clock = { now: () => 0, sleep: async () => undefined }
  const repairing = (looks: readonly (boolean | Error)[]) => {
    const left = [...looks]
    const told: string[] = []
    const quiet = { debug: () => undefined, info: () => undefined, error: () => undefined }
    const repair = new LocalRepair({
      ...{ what: 'whether it is locked', everyMs: 5, clock },
      log: { ...quiet, warning: (text) => void told.push(text) },
      isLeft: async () => {
        const look = left.shift()
        if (look instanceof Error) throw look
        return look === true
      },
    })
    return { repair, left, told }
  }

  it('is looked at until nothing is left, and a fault is told once', async () => {
    const fault = () => new Error('no answer')
    const { repair, left, told } = repairing([true, fault(), fault(), true, false, true])
    await repair.run(new AbortController().signal)
    assert.deepEqual(left, [true])
    assert.deepEqual(told, ['cannot see whether it is locked: no answer'])
  })

  it('is not begun twice at once, and not after the signal', async () => {
    const { repair, left } = repairing([true, false, true, false])
    const { signal } = new AbortController()
    repair.begin(signal)
    repair.begin(signal)
    await repair.underWay
    assert.equal(left.length, 2)
    repair.begin(AbortSignal.abort())
    await repair.underWay
    assert.equal(left.length, 2)
    assert.equal(repair.underWay, undefined)
  })
})
