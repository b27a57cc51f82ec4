import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { ObjectStore } from '@pbmkit/core/plugin'
import {
  absent,
  body,
  drain,
  get,
  isError,
  names,
  PausedBody,
  put,
  rejects,
  type StorageBench,
  same,
  sample,
  storeCase,
  text,
} from './fixture.js'

const MIB = 1024 * 1024

type Call = (store: ObjectStore, signal: AbortSignal) => Promise<unknown>

const CALLS: Readonly<Record<string, Call>> = {
  save: (store, signal) => store.save('new', body(sample(1000)), { signal }),
  read: (store, signal) => store.read('object', { signal }),
  stat: (store, signal) => store.stat('object', { signal }),
  list: (store, signal) => drain(store.list({ signal })),
  delete: (store, signal) => store.delete('object', { signal }),
  copy: (store, signal) => store.copy('object', 'new', { signal }),
}

async function aborted(work: Promise<unknown>, what = 'the call'): Promise<void> {
  const error = await rejects(work, 'STORAGE_ABORTED', what)
  assert.equal(error.name, 'AbortError', `${what}: the error is not called AbortError`)
}

export function abortCases(bench: StorageBench): void {
  for (const [method, call] of Object.entries(CALLS)) {
    storeCase(bench, `${method} does nothing when its signal is aborted already`, async ({ store }) => {
      await put(store, 'object', 'old')
      await aborted(call(store, AbortSignal.abort()))
      assert.deepEqual(await names(store), ['object'])
      assert.equal(await text(store, 'object'), 'old')
    })

    storeCase(bench, `${method} is not harmed by an abort after its end`, async ({ store }) => {
      await put(store, 'object', 'old')
      const controller = new AbortController()
      const result = await call(store, controller.signal)
      if (method === 'read') await drain(result as AsyncIterable<Uint8Array>)
      controller.abort()
      await turn()
      assert.ok((await names(store)).length > 0 || method === 'delete')
    })

    storeCase(bench, `${method} ends when the process shuts down`, async ({ store, open }) => {
      await put(store, 'object', 'old')
      const controller = new AbortController()
      const other = await open({ signal: controller.signal })
      controller.abort()
      await aborted(call(other, new AbortController().signal))
      assert.equal(await text(store, 'object'), 'old')
    })
  }

  for (const bytes of [0, 1, 100_000, 12 * MIB]) {
    storeCase(
      bench,
      `ends a save whose body hangs after ${bytes} bytes, and leaves nothing`,
      async ({ store, open }) => {
        const paused = new PausedBody(bytes === 0 ? [] : [sample(bytes)])
        const controller = new AbortController()
        const saving = store.save('folder/object', paused, { signal: controller.signal })
        saving.catch(() => undefined)
        await paused.paused
        controller.abort()
        await aborted(saving)
        assert.ok(paused.stopped, 'the body was not told to stop')
        assert.deepEqual(await names(await open()), [])
        await absent(store, 'folder/object')
        paused.resume()
        await turn()
        await absent(store, 'folder/object')
      },
    )
  }

  storeCase(bench, 'ends a save between two chunks and keeps the old object', async ({ store, open }) => {
    await put(store, 'object', 'old')
    const controller = new AbortController()
    async function* source(): AsyncGenerator<Uint8Array> {
      yield sample(MIB)
      controller.abort()
      yield sample(MIB)
    }
    await aborted(store.save('object', source(), { signal: controller.signal }))
    assert.equal(await text(await open(), 'object'), 'old')
    assert.deepEqual(await names(store), ['object'])
  })

  storeCase(bench, 'a save aborted with the last chunk is whole or not there', async ({ store }) => {
    const controller = new AbortController()
    async function* source(): AsyncGenerator<Uint8Array> {
      yield sample(MIB)
      controller.abort()
    }
    const outcome = await store.save('object', source(), { signal: controller.signal }).catch((error: unknown) => error)
    if (outcome instanceof Error) await absent(store, 'object')
    else same(await get(store, 'object'), sample(MIB))
  })

  for (const method of ['save', 'copy'] as const) {
    storeCase(bench, `a ${method} aborted as soon as it makes progress is whole or not there`, async ({ store }) => {
      const bytes = sample(24 * MIB)
      if (method === 'copy') await put(store, 'source', bytes)
      const controller = new AbortController()
      const options = { signal: controller.signal, onProgress: () => controller.abort() }
      const work =
        method === 'save' ? store.save('object', body(bytes), options) : store.copy('source', 'object', options)
      const outcome = await work.catch((error: unknown) => error)
      if (!(outcome instanceof Error)) return same(await get(store, 'object'), bytes)
      isError(outcome, 'STORAGE_ABORTED', method)
      await absent(store, 'object')
    })
  }

  storeCase(bench, 'ends a read between two chunks', async ({ store }) => {
    const bytes = sample(24 * MIB)
    await put(store, 'object', bytes)
    const controller = new AbortController()
    const reading = async () => {
      for await (const chunk of await store.read('object', { signal: controller.signal })) {
        assert.ok(chunk.length < bytes.length, 'all is given at once')
        controller.abort()
      }
    }
    await aborted(reading())
    same(await get(store, 'object', { offset: 5, length: 5 }), bytes.subarray(5, 10))
  })

  storeCase(bench, 'ends a read that nobody asked for a chunk yet', async ({ store }) => {
    await put(store, 'object', sample(24 * MIB))
    const controller = new AbortController()
    const reading = await store.read('object', { signal: controller.signal })
    controller.abort()
    await turn()
    await aborted(drain(reading))
  })

  storeCase(bench, 'ends a list between two objects', async ({ store }) => {
    for (let index = 0; index < 300; index++) await put(store, `folder-${index % 10}/${index}`, 'x')
    const controller = new AbortController()
    let found = 0
    const listing = async () => {
      for await (const { name } of store.list({ signal: controller.signal })) {
        assert.ok(name.startsWith('folder-'))
        found++
        controller.abort()
      }
    }
    await aborted(listing())
    assert.ok(found < 300, 'all is listed all the same')
  })

  storeCase(bench, 'aborts one of two saves of the same name and keeps the other', async ({ store }) => {
    const paused = new PausedBody([sample(1000)])
    const controller = new AbortController()
    const saving = store.save('object', paused, { signal: controller.signal })
    saving.catch(() => undefined)
    await paused.paused
    await put(store, 'object', 'other')
    controller.abort()
    await aborted(saving)
    assert.equal(await text(store, 'object'), 'other')
  })

  storeCase(bench, 'goes on working after a hundred aborted saves and reads', async ({ store }) => {
    await put(store, 'object', sample(2 * MIB))
    for (let round = 0; round < 100; round++) {
      const controller = new AbortController()
      const { signal } = controller
      const work =
        round % 2 === 0 ? store.save('other', body(sample(MIB)), { signal }) : get(store, 'object', { signal })
      const settled = Promise.allSettled([work])
      for (let turns = 0; turns < round % 7; turns++) await turn()
      controller.abort()
      await settled
    }
    same(await get(store, 'object'), sample(2 * MIB))
    assert.deepEqual(await names(store, 'object'), ['object'])
  })
}
