import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { absent, body, get, names, put, rejects, type StorageBench, same, sample, storeCase, text } from './fixture.js'

const KIB = 1024
const MIB = 1024 * KIB

/** Where buffers, blocks and parts of stores end. */
const BOUNDARIES = [16 * KIB, 32 * KIB, 64 * KIB, MIB, 4 * MIB, 5 * MIB, 8 * MIB, 10 * MIB]
const SIZES = [1, 2, 1000, ...BOUNDARIES.flatMap((size) => [size - 1, size, size + 1]), 17 * MIB + 3]

export function saveCases(bench: StorageBench): void {
  for (const size of SIZES) {
    storeCase(bench, `saves ${size} bytes`, async ({ store, open }) => {
      const bytes = sample(size)
      const info = await put(store, 'object', bytes)
      assert.equal(info.size, size, 'save answers with another size')
      const other = await open()
      assert.equal((await other.stat('object')).size, size, 'stat answers with another size')
      same(await get(other, 'object'), bytes)
    })
  }

  for (const chunkBytes of [1, 7, 1000, 64 * KIB + 1, 3 * MIB]) {
    storeCase(bench, `saves a body in chunks of ${chunkBytes} bytes`, async ({ store }) => {
      const bytes = sample(chunkBytes === 1 ? 20_000 : 7 * MIB + 5)
      assert.equal((await store.save('object', body(bytes, chunkBytes))).size, bytes.length)
      same(await get(store, 'object'), bytes)
    })
  }

  for (const [kind, chunks] of Object.entries({ 'no chunk': [], 'an empty chunk': [Buffer.alloc(0)] })) {
    storeCase(bench, `saves an object of zero bytes from ${kind}`, async ({ store, open }) => {
      assert.equal((await store.save('empty', Readable.from(chunks))).size, 0)
      assert.deepEqual(await names(await open()), ['empty'])
      await rejects(store.stat('empty'), 'STORAGE_EMPTY')
    })
  }

  storeCase(bench, 'passes over empty chunks in a body', async ({ store }) => {
    const none = Buffer.alloc(0)
    await store.save('object', Readable.from([none, Buffer.from('a'), none, none, Buffer.from('b'), none]))
    assert.equal(await text(store, 'object'), 'ab')
  })

  storeCase(bench, 'takes chunks that are views into a larger buffer', async ({ store }) => {
    const large = new Uint8Array(sample(300_000))
    await store.save('object', body(large.subarray(1001, 200_003), 777))
    same(await get(store, 'object'), large.subarray(1001, 200_003))
  })

  storeCase(bench, 'takes a Node stream as a body', async ({ store }) => {
    const bytes = sample(500_000)
    await store.save('object', Readable.from(body(bytes, 1234), { objectMode: false }))
    same(await get(store, 'object'), bytes)
  })

  storeCase(bench, 'takes an iterator that has no return method', async ({ store }) => {
    let left = 5
    const next = async (): Promise<IteratorResult<Uint8Array, undefined>> =>
      left-- > 0 ? { done: false, value: Buffer.from('abc') } : { done: true, value: undefined }
    await store.save('object', { [Symbol.asyncIterator]: () => ({ next }) })
    assert.equal(await text(store, 'object'), 'abc'.repeat(5))
  })

  storeCase(bench, 'waits for a slow body', async ({ store }) => {
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (const word of ['one ', 'two ', 'three']) {
        await delay(15)
        yield Buffer.from(word)
      }
    }
    await store.save('object', slow())
    assert.equal(await text(store, 'object'), 'one two three')
  })

  for (const hint of [0, 1, 100, 50 * MIB, Number.MAX_SAFE_INTEGER]) {
    storeCase(bench, `takes a size hint of ${hint} as no more than a hint`, async ({ store }) => {
      const bytes = sample(300_000)
      assert.equal((await store.save('object', body(bytes), { sizeHint: hint })).size, bytes.length)
      same(await get(store, 'object'), bytes)
    })
  }

  for (const [from, to] of [
    [100, 200],
    [200, 100],
    [9 * MIB, 1],
    [1, 9 * MIB],
    [100, 0],
  ] as const) {
    storeCase(bench, `replaces an object of ${from} bytes by one of ${to}`, async ({ store, open }) => {
      await put(store, 'object', sample(from, 1))
      assert.equal((await put(store, 'object', sample(to, 2))).size, to)
      const other = await open()
      if (to === 0) await rejects(other.stat('object'), 'STORAGE_EMPTY')
      else same(await get(other, 'object'), sample(to, 2))
      assert.deepEqual(await names(other), ['object'])
    })
  }

  for (const size of [0, 1, 100_000, 11 * MIB]) {
    storeCase(bench, `tells the progress of saving ${size} bytes`, async ({ store }) => {
      const told: number[] = []
      await store.save('object', body(sample(size)), { onProgress: (bytes) => told.push(bytes) })
      checkProgress(told, size)
    })
  }

  failureCases(bench)
  ifAbsentCases(bench)
}

export function checkProgress(told: readonly number[], size: number): void {
  assert.ok(told.length > 0, 'no progress is told')
  assert.equal(told.at(-1), size, 'the last progress is not the size')
  assert.deepEqual(
    [...told].sort((a, b) => a - b),
    told,
    'progress goes backwards',
  )
}

function failureCases(bench: StorageBench): void {
  for (const [when, bytes] of [
    ['at once', 0],
    ['after some bytes', 1000],
    ['after 20 MiB', 20 * MIB],
  ] as const) {
    async function* failing(failure: unknown): AsyncGenerator<Uint8Array> {
      yield* body(sample(bytes))
      throw failure
    }

    storeCase(
      bench,
      `passes on the error of a body that fails ${when}, and leaves nothing`,
      async ({ store, open }) => {
        const failure = new Error('the source was cut')
        await assert.rejects(store.save('folder/object', failing(failure)), (error) => error === failure)
        await absent(store, 'folder/object')
        assert.deepEqual(await names(await open()), [], 'something is left')
      },
    )

    storeCase(bench, `keeps the old object when the body of the new one fails ${when}`, async ({ store, open }) => {
      await put(store, 'object', 'old')
      const failure = new Error('the source was cut')
      await assert.rejects(store.save('object', failing(failure)), (error) => error === failure)
      assert.equal(await text(await open(), 'object'), 'old')
      assert.deepEqual(await names(store), ['object'])
    })
  }

  storeCase(bench, 'passes on an error of a body that carries a code of its own', async ({ store }) => {
    const failure = Object.assign(new Error('no such file'), { code: 'ENOENT', syscall: 'open' })
    const failing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(failure) }) }
    await assert.rejects(store.save('object', failing), (error) => error === failure)
    await absent(store, 'object')
  })

  storeCase(bench, 'passes on what a body throws though it is no Error', async ({ store }) => {
    const failing = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject('a text') }) }
    const outcome = await store.save('object', failing).then(
      () => 'saved',
      (error: unknown) => error,
    )
    assert.equal(outcome, 'a text')
  })

  storeCase(bench, 'saves under a name whose body failed before', async ({ store }) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield sample(100)
      throw new Error('the source was cut')
    }
    await assert.rejects(store.save('folder/object', failing()))
    await put(store, 'folder/object', 'second try')
    assert.equal(await text(store, 'folder/object'), 'second try')
  })
}

function ifAbsentCases(bench: StorageBench): void {
  storeCase(bench, 'ifAbsent saves a new object, or is not supported', async ({ store }) => {
    const work = store.save('object', body(sample(100)), { ifAbsent: true })
    if (!store.capabilities.ifAbsent) {
      await rejects(work, 'STORAGE_NOT_SUPPORTED')
      await absent(store, 'object')
      return
    }
    assert.equal((await work).size, 100)
    same(await get(store, 'object'), sample(100))
  })

  storeCase(bench, 'ifAbsent keeps the object that is there, or is not supported', async ({ store, open }) => {
    await put(store, 'object', 'old')
    const code = store.capabilities.ifAbsent ? 'STORAGE_EXISTS' : 'STORAGE_NOT_SUPPORTED'
    await rejects((await open()).save('object', body(sample(100)), { ifAbsent: true }), code)
    assert.equal(await text(store, 'object'), 'old')
    assert.deepEqual(await names(store), ['object'])
  })

  storeCase(bench, 'ifAbsent counts an object of zero bytes as there, or is not supported', async ({ store }) => {
    await put(store, 'object', Buffer.alloc(0))
    const code = store.capabilities.ifAbsent ? 'STORAGE_EXISTS' : 'STORAGE_NOT_SUPPORTED'
    await rejects(store.save('object', body(sample(100)), { ifAbsent: true }), code)
  })

  storeCase(
    bench,
    'ifAbsent lets one of many at once win, or none where it is not supported',
    async ({ store, open }) => {
      const other = await open()
      const tries = Array.from({ length: 12 }, (_, index) =>
        (index % 2 === 0 ? store : other).save('object', body(sample(10_000, index)), { ifAbsent: true }),
      )
      const outcomes = await Promise.allSettled(tries)
      const winners = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []))
      assert.equal(
        winners.length,
        store.capabilities.ifAbsent ? 1 : 0,
        `${winners.length} of them say that they saved it`,
      )
      const code = store.capabilities.ifAbsent ? 'STORAGE_EXISTS' : 'STORAGE_NOT_SUPPORTED'
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') await rejects(Promise.reject(outcome.reason), code)
      }
      const [winner] = winners
      if (winner !== undefined) same(await get(store, 'object'), sample(10_000, winner))
    },
  )

  storeCase(bench, 'ifAbsent: false replaces', async ({ store }) => {
    await put(store, 'object', 'old')
    await store.save('object', body(Buffer.from('new')), { ifAbsent: false })
    assert.equal(await text(store, 'object'), 'new')
  })
}
