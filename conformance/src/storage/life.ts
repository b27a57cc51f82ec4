import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { ObjectStore } from '@pbmkit/core/plugin'
import {
  body,
  collect,
  drain,
  get,
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

const CALLS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  save: (store) => store.save('new', body(sample(10))),
  read: (store) => store.read('object'),
  stat: (store) => store.stat('object'),
  list: (store) => drain(store.list()),
  delete: (store) => store.delete('object'),
  copy: (store) => store.copy('object', 'new'),
}

/** Many at once, and the end. */
export function lifeCases(bench: StorageBench): void {
  storeCase(bench, 'saves 48 objects at once', async ({ store, open }) => {
    const sizes = Array.from({ length: 48 }, (_, index) => 1 + index * 5000)
    await Promise.all(sizes.map((size, index) => store.save(`folder/${index}`, body(sample(size, index), 999))))
    const other = await open()
    for (const [index, size] of sizes.entries()) same(await get(other, `folder/${index}`), sample(size, index))
  })

  storeCase(bench, 'saves into the same new folders from two connections at once', async ({ store, open }) => {
    const other = await open()
    const all = Array.from({ length: 40 }, (_, index) => `new/deep/er/${index % 4}/${index}`)
    await Promise.all(all.map((name, index) => put(index % 2 === 0 ? store : other, name)))
    assert.deepEqual(await names(store), [...all].sort())
  })

  storeCase(bench, 'keeps one of many that are saved under one name at once', async ({ store, open }) => {
    const other = await open()
    const versions = Array.from({ length: 16 }, (_, index) => sample(100_000 + index, index))
    await Promise.all(
      versions.map((bytes, index) => (index % 2 === 0 ? store : other).save('object', body(bytes, 9999))),
    )
    const found = await get(store, 'object')
    assert.ok(
      versions.some((bytes) => bytes.equals(found)),
      'what is kept is none of them',
    )
    assert.deepEqual(await names(store), ['object'])
  })

  storeCase(bench, 'reads, lists and saves at once', async ({ store }) => {
    await put(store, 'object', sample(3 * MIB))
    const work = Array.from({ length: 30 }, async (_, index) => {
      if (index % 3 === 0) same(await get(store, 'object', { offset: index }), sample(3 * MIB).subarray(index))
      else if (index % 3 === 1) assert.ok((await names(store)).includes('object'))
      else await put(store, `other/${index}`)
    })
    await Promise.all(work)
    assert.equal((await names(store)).length, 11)
  })

  for (const [method, call] of Object.entries(CALLS)) {
    storeCase(bench, `${method} is refused once the store is closed`, async ({ store, open }) => {
      await put(store, 'object', 'kept')
      const other = await open()
      await store.close()
      await rejects(call(store), 'STORAGE_CLOSED')
      assert.equal(await text(other, 'object'), 'kept', 'the other connection is closed, too')
    })
  }

  storeCase(bench, 'closes twice, and twice at once', async ({ store, open }) => {
    await store.close()
    await store.close()
    const other = await open()
    await Promise.all([other.close(), other.close()])
    await other.close()
  })

  storeCase(bench, 'keeps what was saved when it is closed and opened again', async ({ store, open }) => {
    await put(store, 'folder/object', sample(MIB))
    await store.close()
    same(await get(await open(), 'folder/object'), sample(MIB))
  })

  storeCase(bench, 'closes while a read is half done', async ({ store, open }) => {
    await put(store, 'object', sample(24 * MIB))
    const chunks = (await store.read('object'))[Symbol.asyncIterator]()
    await chunks.next()
    await store.close()
    await chunks.return?.()
    assert.deepEqual(await names(await open()), ['object'])
  })

  storeCase(bench, 'closes while a read was never begun', async ({ store }) => {
    await put(store, 'object', sample(24 * MIB))
    await store.read('object')
    await store.close()
  })

  storeCase(bench, 'closes while a body hangs, and shows nothing of the object', async ({ store, open }) => {
    const paused = new PausedBody([sample(100_000)])
    const saving = store.save('folder/object', paused).catch((error: unknown) => error)
    await paused.paused
    const closing = store.close()
    await turn()
    const other = await open()
    assert.deepEqual(await names(other), [])
    paused.resume()
    await closing
    // Waiting for the save is as right as ending it.
    const outcome = await saving
    if (outcome instanceof Error) assert.deepEqual(await names(other), [])
    else same(await get(other, 'folder/object'), sample(100_000))
  })

  storeCase(bench, 'lets several readers of one connection go different ways', async ({ store }) => {
    await put(store, 'object', sample(5 * MIB))
    const [whole, broken, ranged] = await Promise.all([
      store.read('object'),
      store.read('object'),
      store.read('object', { offset: MIB, length: 10 }),
    ])
    for await (const chunk of broken) {
      assert.ok(chunk.length > 0)
      break
    }
    same(await collect(ranged), sample(5 * MIB).subarray(MIB, MIB + 10))
    same(await collect(whole), sample(5 * MIB))
  })
}
