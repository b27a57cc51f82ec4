import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { hasCode } from '../../plugin/errors.js'
import { ManualClock } from '../../time/manual-clock.support.js'
import { chunked, FaultyStore, gathered, LeapingClock } from './faulty-store.support.js'
import { newBuckets, throttledStore } from './throttle.js'

const KB = 1000

describe('throttledStore', () => {
  it('is the store itself without a limit', () => {
    const store = new FaultyStore()
    assert.equal(throttledStore(store, {}), store)
    assert.equal(throttledStore(store, { upload: 0, download: 0 }), store)
  })

  it('takes the time that the bytes need, in each direction its own', async () => {
    const clock = new LeapingClock()
    const store = new FaultyStore()
    store.chunkBytes = 10 * KB
    const throttled = throttledStore(store, { upload: 100 * KB, download: 50 * KB }, newBuckets(clock))
    const bytes = Buffer.alloc(500 * KB, 'x')
    const began = clock.now()
    await throttled.save('a', chunked(bytes, 70 * KB))
    const uploaded = clock.now() - began
    assert.ok(Math.abs(uploaded - 5_000) < 300, `${uploaded} ms for 5 s of bytes`)
    const progress: number[] = []
    const read = await gathered(throttled.read('a', { onProgress: (moved) => progress.push(moved) }))
    assert.equal(read, bytes.toString())
    assert.equal(progress.at(-1), bytes.length)
    const downloaded = clock.now() - began - uploaded
    assert.ok(Math.abs(downloaded - 10_000) < 300, `${downloaded} ms for 10 s of bytes`)
  })

  it('shares one limit among all streams, which take turns', async () => {
    const clock = new ManualClock()
    const store = new FaultyStore()
    const throttled = throttledStore(store, { upload: 100 * KB }, newBuckets(clock))
    const began = clock.now()
    const moved = [0, 0, 0, 0]
    const saves = moved.map((_, index) =>
      throttled.save(`${index}`, chunked(Buffer.alloc(100 * KB), 100 * KB), {
        onProgress: (bytes) => {
          moved[index] = bytes
        },
      }),
    )
    let ended = false
    const all = Promise.all(saves).then(() => {
      ended = true
    })
    await clock.advance(2_000)
    for (const bytes of moved) assert.ok(Math.abs(bytes - 50 * KB) < 15 * KB, `unfair: ${moved.join(', ')}`)
    while (!ended) await clock.advance(100)
    await all
    assert.ok(Math.abs(clock.now() - began - 4_000) <= 300, `${clock.now() - began} ms for 4 s of bytes`)
  })

  it('lets no more than a moment of bytes through at once after a pause', async () => {
    const clock = new LeapingClock()
    const throttled = throttledStore(new FaultyStore(), { upload: 100 * KB }, newBuckets(clock))
    await throttled.save('a', chunked(Buffer.alloc(10 * KB), 1000))
    clock.time += 60_000
    const began = clock.now()
    await throttled.save('a', chunked(Buffer.alloc(100 * KB), 1000))
    assert.ok(clock.now() - began > 800, 'the pause was made up for')
  })

  it('does not hold up what has a higher limit by what was moved under a lower one', async () => {
    const clock = new LeapingClock()
    const buckets = newBuckets(clock)
    await throttledStore(new FaultyStore(), { upload: 1 }, buckets).save('a', chunked(Buffer.alloc(4 * KB), 4 * KB))
    const began = clock.now()
    await throttledStore(new FaultyStore(), { upload: 100 * KB }, buckets).save('b', chunked(Buffer.alloc(10 * KB), KB))
    assert.ok(clock.now() - began < 1_000, `${clock.now() - began} ms for 0.1 s of bytes`)
  })

  it('goes on at its rate when the clock is set back', async () => {
    const clock = new LeapingClock()
    const throttled = throttledStore(new FaultyStore(), { upload: 100 * KB }, newBuckets(clock))
    await throttled.save('a', chunked(Buffer.alloc(100 * KB), 1000))
    clock.time -= 900_000
    clock.waits.splice(0)
    await throttled.save('b', chunked(Buffer.alloc(100 * KB), 1000))
    const waited = clock.waits.reduce((sum, wait) => sum + wait, 0)
    assert.ok(Math.abs(waited - 1_000) < 200, `${waited} ms for 1 s of bytes`)
  })

  it('slows down copies that move bytes through this process, and no others', async () => {
    for (const serverSideCopy of [true, false]) {
      const clock = new LeapingClock()
      const store = new FaultyStore({ serverSideCopy })
      store.put('a', Buffer.alloc(100 * KB))
      store.put('empty', '')
      const throttled = throttledStore(store, { upload: 100 * KB }, newBuckets(clock))
      await throttled.copy('a', 'b')
      await throttled.copy('empty', 'none')
      assert.deepEqual([store.text('b'), store.text('none')], [store.text('a'), ''])
      assert.equal(clock.waits.length > 0, !serverSideCopy)
    }
  })

  for (const how of ['the caller aborts', 'the store is closed'] as const) {
    it(`ends a wait at once when ${how}`, async () => {
      const store = new FaultyStore()
      store.put('a', Buffer.alloc(100 * KB))
      const throttled = throttledStore(store, { upload: KB, download: KB }, newBuckets(new ManualClock()))
      const controller = new AbortController()
      const { signal } = controller
      let ended = false
      async function* body() {
        try {
          for (;;) yield Buffer.alloc(10 * KB)
        } finally {
          ended = true
        }
      }
      const outcomes = [throttled.save('b', body(), { signal }), gathered(throttled.read('a', { signal }))].map(
        (work) => work.catch((error: unknown) => error),
      )
      for (let turns = 0; turns < 10; turns++) await turn()
      if (how === 'the caller aborts') controller.abort()
      else await throttled.close()
      const code = how === 'the caller aborts' ? 'STORAGE_ABORTED' : 'STORAGE_CLOSED'
      for (const outcome of await Promise.all(outcomes)) assert.ok(hasCode(outcome, code), String(outcome))
      await turn()
      assert.ok(ended, 'the body was not told to end')
    })
  }
})
