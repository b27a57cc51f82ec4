import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { body, collect, get, put, rejects, type StorageBench, same, sample, storeCase } from './fixture.js'
import { checkProgress } from './save.js'

const MIB = 1024 * 1024
const SIZE = 3 * MIB + 17

/** Offset and length within an object of {@link SIZE} bytes. */
const RANGES: readonly (readonly [offset: number | undefined, length: number | undefined])[] = [
  [undefined, undefined],
  [0, undefined],
  [1, undefined],
  [SIZE - 1, undefined],
  [undefined, 1],
  [0, SIZE],
  [0, SIZE - 1],
  [0, SIZE + 1],
  [0, Number.MAX_SAFE_INTEGER],
  [SIZE - 1, 1],
  [SIZE - 1, 100],
  [65_535, 2],
  [65_536, 65_536],
  [MIB - 1, MIB + 2],
  [2 * MIB, MIB],
]

const BAD_RANGES: readonly (readonly [offset: number, length: number | undefined])[] = [
  [SIZE, undefined],
  [SIZE, 1],
  [SIZE + 1, undefined],
  [Number.MAX_SAFE_INTEGER, 1],
  [-1, undefined],
  [-1, 10],
  [0.5, 10],
  [Number.NaN, 10],
  [0, 0],
  [0, -1],
  [0, 1.5],
]

export function readCases(bench: StorageBench): void {
  for (const [offset, length] of RANGES) {
    storeCase(bench, `reads ${length ?? 'all'} bytes from ${offset ?? 'the start'}`, async ({ store }) => {
      const bytes = sample(SIZE)
      await put(store, 'object', bytes)
      const expected = bytes.subarray(offset ?? 0, Math.min(SIZE, (offset ?? 0) + (length ?? SIZE)))
      same(await get(store, 'object', { offset, length }), expected)
    })
  }

  for (const [offset, length] of BAD_RANGES) {
    storeCase(bench, `refuses to read ${length ?? 'all'} bytes from ${offset} of ${SIZE}`, async ({ store }) => {
      await put(store, 'object', sample(SIZE))
      await rejects(store.read('object', { offset, length }), 'STORAGE_INVALID_RANGE')
    })
  }

  storeCase(bench, 'reads a hundred ranges at random', async ({ store }) => {
    const bytes = sample(SIZE)
    await put(store, 'object', bytes)
    let state = 12_345
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state % below
    }
    for (let round = 0; round < 100; round++) {
      const offset = random(SIZE)
      const length = 1 + random(round % 2 === 0 ? 1000 : SIZE)
      const expected = bytes.subarray(offset, Math.min(SIZE, offset + length))
      same(await get(store, 'object', { offset, length }), expected, `${length} bytes from ${offset}`)
    }
  })

  storeCase(bench, 'reads the one byte of an object', async ({ store }) => {
    await put(store, 'object', Buffer.from('x'))
    assert.equal((await get(store, 'object')).toString(), 'x')
    assert.equal((await get(store, 'object', { offset: 0, length: 1 })).toString(), 'x')
    await rejects(store.read('object', { offset: 1 }), 'STORAGE_INVALID_RANGE')
  })

  for (const name of [
    'missing',
    'folder',
    'folder/missing',
    'missing/object',
    'folder/object/below',
    'folder/objec',
    'Folder/object',
  ]) {
    storeCase(bench, `read refuses ${name}, which is not there, before any byte flows`, async ({ store }) => {
      await put(store, 'folder/object')
      await rejects(store.read(name), 'STORAGE_NOT_FOUND')
      await rejects(store.read(name, { offset: 5, length: 5 }), 'STORAGE_NOT_FOUND')
    })
  }

  storeCase(bench, 'read refuses an object of zero bytes before any byte flows', async ({ store }) => {
    await put(store, 'empty', Buffer.alloc(0))
    await rejects(store.read('empty'), 'STORAGE_EMPTY')
  })

  for (const range of [{}, { offset: 1000, length: 2 * MIB }]) {
    storeCase(bench, `tells the progress of reading ${JSON.stringify(range)}`, async ({ store }) => {
      await put(store, 'object', sample(SIZE))
      const told: number[] = []
      const bytes = await get(store, 'object', { ...range, onProgress: (soFar) => told.push(soFar) })
      checkProgress(told, bytes.length)
    })
  }

  storeCase(bench, 'lets a reader break off at the first chunk, and again many times', async ({ store }) => {
    await put(store, 'object', sample(SIZE))
    for (let round = 0; round < 50; round++) {
      for await (const chunk of await store.read('object')) {
        assert.ok(chunk.length > 0)
        break
      }
    }
    same(await get(store, 'object'), sample(SIZE))
  })

  storeCase(bench, 'waits for a slow reader', async ({ store }) => {
    await put(store, 'object', sample(SIZE))
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('object')) {
      chunks.push(chunk)
      await delay(2)
    }
    same(Buffer.concat(chunks), sample(SIZE))
  })

  storeCase(bench, 'gives chunks that stay as they are while more is read', async ({ store }) => {
    await put(store, 'object', sample(SIZE))
    const copies: Buffer[] = []
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('object')) {
      chunks.push(chunk)
      copies.push(Buffer.from(chunk))
    }
    same(Buffer.concat(chunks), Buffer.concat(copies))
  })

  storeCase(bench, 'reads one object many times at once', async ({ store, open }) => {
    const bytes = sample(MIB + 5)
    await put(store, 'object', bytes)
    const other = await open()
    const reads = Array.from({ length: 24 }, (_, index) =>
      get(index % 2 === 0 ? store : other, 'object', { offset: index }),
    )
    for (const [index, read] of (await Promise.all(reads)).entries()) same(read, bytes.subarray(index))
  })

  storeCase(
    bench,
    'gives one object whole when it is replaced while it is read, or an error',
    async ({ store, open }) => {
      const [before, after] = [sample(SIZE, 1), sample(SIZE, 2)]
      await put(store, 'object', before)
      const reading = await store.read('object')
      const chunks = reading[Symbol.asyncIterator]()
      const first = await chunks.next()
      await (await open()).save('object', body(after))
      const rest: Uint8Array[] = first.done === true ? [] : [first.value]
      try {
        for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) rest.push(next.value)
      } catch {
        return
      }
      same(Buffer.concat(rest), before)
    },
  )

  storeCase(bench, 'gives bytes as Uint8Arrays', async ({ store }) => {
    await put(store, 'object', sample(100))
    for await (const chunk of await store.read('object')) assert.ok(chunk instanceof Uint8Array)
    same(await collect(await store.read('object')), sample(100))
  })
}
