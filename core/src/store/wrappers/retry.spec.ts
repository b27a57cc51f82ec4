import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { hasCode } from '../../plugin/errors.js'
import { ManualClock } from '../../time/manual-clock.support.js'
import { chunked, FaultyStore, failing, failure, gathered, LeapingClock, namesIn } from './faulty-store.support.js'
import { REPLAY_BYTES } from './replayable-body.js'
import { type Retry, type RetryOptions, retriedStore } from './retry.js'

describe('retriedStore', () => {
  const setUp = (more: Partial<RetryOptions> = {}) => {
    const store = new FaultyStore()
    const clock = new LeapingClock()
    const told: Retry[] = []
    const options = { clock, signal: new AbortController().signal, onRetry: (retry: Retry) => void told.push(retry) }
    return { store, clock, told, retried: retriedStore(store, { ...options, ...more }) }
  }
  const TEXT = 'abcdefghijklmnopqrst'

  it('waits longer each time, between half of it and all, and gives up at the deadline', async () => {
    for (const random of [0, 1]) {
      const { store, clock, told, retried } = setUp({ random: () => random, deadlineMs: 30_000 })
      store.fault = () => failure()
      await assert.rejects(retried.stat('a'), { message: 'the test says so' })
      const factor = random === 0 ? 0.5 : 1
      assert.deepEqual(
        clock.waits.slice(0, 6).map((wait) => wait / factor),
        [200, 400, 800, 1600, 3200, 5000],
      )
      const waited = clock.waits.reduce((sum, wait) => sum + wait, 0)
      assert.ok(waited <= 30_000 && waited > 24_000, `waited ${waited}`)
      assert.equal(store.calls.length, clock.waits.length + 1)
      assert.deepEqual(
        told.map(({ failures }) => failures),
        clock.waits.map((_, index) => index + 1),
      )
    }
  })

  it('tries nothing again that is not retriable, and nothing at all without time', async () => {
    const { store, retried } = setUp()
    store.fault = () => failure('STORAGE_DENIED', false)
    await assert.rejects(retried.stat('a'))
    await assert.rejects(gathered(retried.read('a')))
    await assert.rejects(retried.save('a', chunked(TEXT, 3)))
    await assert.rejects(namesIn(retried.list()))
    assert.deepEqual(store.calls.filter((call) => !call.startsWith('stat')).sort(), ['list ', 'read a', 'save a'])
    const impatient = setUp({ deadlineMs: 0 })
    impatient.store.fault = () => failure()
    await assert.rejects(impatient.retried.stat('a'))
    assert.equal(impatient.store.calls.length, 1)
  })

  it('saves a small object whole, wherever storing it fails', async () => {
    for (let moved = 0; moved <= TEXT.length; moved++) {
      for (const done of [false, true]) {
        const { store, retried, told } = setUp()
        store.fault = failing(2, (call, at) => call === 'save' && at.moved >= moved && (at.done || !done))
        const progress: number[] = []
        const info = await retried.save('a', chunked(TEXT, 3), { onProgress: (bytes) => progress.push(bytes) })
        assert.equal(info.size, TEXT.length)
        assert.equal(store.text('a'), TEXT)
        assert.equal(told.length, 2)
        assert.deepEqual(
          progress,
          [...new Set(progress)].sort((a, b) => a - b),
          'progress goes back',
        )
        assert.equal(progress.at(-1), TEXT.length)
      }
    }
  })

  it('sends no large object again whose bytes are gone', async () => {
    const { store, retried, told } = setUp()
    store.fault = failing(1, (call, { moved }) => call === 'save' && moved > REPLAY_BYTES)
    let ended = false
    async function* large() {
      try {
        for (let sent = 0; sent < 2 * REPLAY_BYTES; sent += 65_536) yield Buffer.alloc(65_536)
      } finally {
        ended = true
      }
    }
    await assert.rejects(retried.save('a', large()), { message: 'the test says so' })
    await turn()
    assert.ok(ended, 'the body was not told to end')
    assert.deepEqual([told.length, store.objects.size], [0, 0])
  })

  it('sends no body again that failed itself', async () => {
    const { store, retried } = setUp()
    async function* broken() {
      yield Buffer.from('ab')
      throw failure()
    }
    await assert.rejects(retried.save('a', broken()), { message: 'the test says so' })
    assert.deepEqual(store.calls, ['save a'])
  })

  it('loses no chunk that a failed try had asked for', async () => {
    const { store, retried } = setUp()
    const inner = store.save.bind(store)
    let isFirst = true
    store.save = async (name, body, options) => {
      if (!isFirst) return inner(name, body, options)
      isFirst = false
      const chunks = body[Symbol.asyncIterator]()
      await chunks.next()
      // Asked for, never taken.
      void chunks.next()
      throw failure()
    }
    await retried.save('a', chunked(TEXT, 3))
    assert.equal(store.text('a'), TEXT)
  })

  it('ends no body early for a try that goes on after it has failed', async () => {
    const { store, retried } = setUp()
    const inner = store.save.bind(store)
    const late: AsyncIterator<Uint8Array>[] = []
    store.save = async (name, body, options) => {
      if (late.length > 0) return inner(name, body, options)
      late.push(body[Symbol.asyncIterator]())
      await late[0]?.next()
      throw failure()
    }
    await retried.save('a', chunked(TEXT, 3))
    // An end here would make it store the first chunk as if it were the object.
    await assert.rejects(async () => late[0]?.next(), /not wanted any more/)
  })

  it('asks for nothing more when a read breaks behind its last byte', async () => {
    for (const range of [{}, { offset: 5 }, { offset: 5, length: 10 }, { offset: 15, length: 100 }]) {
      const { store, retried } = setUp()
      store.put('a', TEXT)
      const inner = store.read.bind(store)
      let broken = failure()
      store.read = async (name, options) => {
        const bytes = await inner(name, options)
        return (async function* () {
          yield* bytes
          throw broken
        })()
      }
      const { offset = 0, length = TEXT.length } = range as { offset?: number; length?: number }
      assert.equal(await gathered(retried.read('a', range)), TEXT.slice(offset, offset + length))
      assert.deepEqual(
        store.calls.filter((call) => call.startsWith('read')),
        ['read a'],
      )
      // What is wrong for good is wrong there, too: a checksum, say.
      broken = failure('STORAGE_UNAVAILABLE', false)
      await assert.rejects(gathered(retried.read('a', range)))
    }
  })

  it('reads on where it broke, at every byte, in ranges too', async () => {
    for (const [offset, length] of [
      [0, undefined],
      [5, undefined],
      [5, 10],
    ] as const) {
      const expected = TEXT.slice(offset, length === undefined ? undefined : offset + length)
      for (let at = 0; at <= expected.length; at++) {
        const { store, retried } = setUp()
        store.put('a', TEXT)
        store.fault = failing(3, (call, { moved }) => call === 'read' && moved >= at)
        const progress: number[] = []
        const options = { offset, ...(length === undefined ? {} : { length }) }
        const read = retried.read('a', { ...options, onProgress: (bytes) => progress.push(bytes) })
        assert.equal(await gathered(read), expected)
        assert.equal(progress.at(-1), expected.length)
        assert.deepEqual(
          progress,
          [...progress].sort((a, b) => a - b),
        )
      }
    }
  })

  it('does not read on in another object of the name', async () => {
    for (const change of ['replaced', 'deleted'] as const) {
      const { store, retried } = setUp()
      store.put('a', TEXT)
      store.fault = failing(1, (call, { moved }) => {
        if (call !== 'read' || moved < 6) return false
        if (change === 'replaced') store.put('a', TEXT.toUpperCase())
        else store.objects.delete('a')
        return true
      })
      await assert.rejects(gathered(retried.read('a')), {
        code: 'STORAGE_UNAVAILABLE',
        retriable: false,
        message: new RegExp(`broke after 6 bytes, and by now the object was ${change}`),
      })
    }
  })

  it('gives up at the deadline though the clock is set back', async () => {
    const { store, clock, retried } = setUp({ deadlineMs: 30_000 })
    let tries = 0
    store.fault = (call) => {
      if (call !== 'stat') return undefined
      if (++tries === 3) clock.time -= 3_600_000
      return failure()
    }
    await assert.rejects(retried.stat('a'), { code: 'STORAGE_UNAVAILABLE' })
    const waited = clock.waits.reduce((sum, wait) => sum + wait, 0)
    assert.ok(waited > 10_000 && waited <= 40_000, `${waited} ms`)
  })

  it('counts the deadline of a read anew whenever bytes came', async () => {
    const { store, clock, retried } = setUp({ deadlineMs: 1_000 })
    store.put('a', TEXT)
    store.chunkBytes = 1
    store.fault = (call, { moved }) => (call === 'read' && moved > 0 ? failure() : undefined)
    assert.equal(await gathered(retried.read('a')), TEXT)
    assert.ok(clock.waits.reduce((sum, wait) => sum + wait, 0) > 1_000)
  })

  it('lists every object once, wherever the list breaks', async () => {
    const names = ['d', 'a', 'c', 'b']
    for (let at = 0; at < names.length; at++) {
      const { store, retried } = setUp()
      for (const name of names) store.put(name, name)
      store.fault = failing(2, (call, { moved }) => call === 'list' && moved >= at)
      assert.deepEqual(await namesIn(retried.list()), names)
    }
  })

  it('takes an object that is gone for deleted only after a failure', async () => {
    const { store, retried } = setUp()
    await assert.rejects(retried.delete('a'), { code: 'STORAGE_NOT_FOUND' })
    store.put('a', TEXT)
    store.fault = failing(1, (call, { done }) => call === 'delete' && done)
    await retried.delete('a')
    assert.equal(store.objects.size, 0)
  })

  it('copies and looks again', async () => {
    const { store, retried } = setUp()
    store.put('a', TEXT)
    store.fault = failing(4, (call, { done }) => call === 'stat' || (call === 'copy' && done))
    await retried.copy('a', 'b')
    assert.equal((await retried.stat('b')).size, TEXT.length)
  })

  for (const how of ['the caller aborts', 'the process ends', 'the store is closed'] as const) {
    it(`ends a wait at once when ${how}`, async () => {
      const [caller, process] = [new AbortController(), new AbortController()]
      const { store, retried } = setUp({ clock: new ManualClock(), signal: process.signal })
      store.fault = () => failure()
      const outcomes = [
        retried.stat('a', { signal: caller.signal }),
        retried.save('a', chunked(TEXT, 3), { signal: caller.signal }),
        gathered(retried.read('a', { signal: caller.signal })),
        namesIn(retried.list({ signal: caller.signal })),
      ].map((work) => work.catch((error: unknown) => error))
      await turn()
      if (how === 'the caller aborts') caller.abort()
      else if (how === 'the process ends') process.abort()
      else await retried.close()
      const code = how === 'the store is closed' ? 'STORAGE_CLOSED' : 'STORAGE_ABORTED'
      for (const outcome of await Promise.all(outcomes)) assert.ok(hasCode(outcome, code), String(outcome))
    })
  }
})
