import assert from 'node:assert/strict'
import type { ClusterView, HistoryFacts } from '@pbmkit/core'
import { ClusterReader } from './cluster-reader.js'

describe('reading the cluster for metrics', () => {
  const setUp = () => {
    const state = { time: 1_000_000, views: 0, histories: 0, faults: 0, fails: false, held: Promise.resolve() }
    const reader = new ClusterReader({
      view: async () => {
        state.views += 1
        await state.held
        if (state.fails) throw new Error('away')
        return { number: state.views } as unknown as ClusterView
      },
      history: async () => {
        state.histories += 1
        return {} as HistoryFacts
      },
      clock: { now: () => state.time, sleep: () => Promise.reject(new Error('nothing waits here')) },
      onFault: () => {
        state.faults += 1
      },
    })
    const number = async () => ((await reader.facts())?.view as { number?: number } | undefined)?.number
    return { state, number }
  }

  it('costs one command for all who ask within a quarter of a minute, and nothing where nobody asks', async () => {
    const { state, number } = setUp()
    assert.deepEqual(
      await Promise.all(Array.from({ length: 50 }, number)),
      Array.from({ length: 50 }, () => 1),
    )
    for (let seconds = 0; seconds < 600; seconds++) {
      state.time += 1_000
      await number()
    }
    assert.deepEqual([state.views, state.histories], [41, 11])
  })

  it('tells what it knew while a server does not answer, and after two minutes nothing', async () => {
    const { state, number } = setUp()
    assert.equal(await number(), 1)
    state.fails = true
    state.time += 60_000
    assert.equal(await number(), 1)
    assert.equal(state.faults, 1)
    state.time += 61_000
    assert.equal(await number(), undefined)
    state.fails = false
    assert.equal(await number(), 4)
  })

  it('asks a server that hangs no second time', async () => {
    const { state, number } = setUp()
    const { promise, resolve } = Promise.withResolvers<void>()
    state.held = promise
    const asked = [number(), number(), number()]
    assert.deepEqual(await Promise.all(asked), [undefined, undefined, undefined])
    assert.equal(state.views, 1)
    resolve()
    assert.equal(await number(), 1)
  })
})
