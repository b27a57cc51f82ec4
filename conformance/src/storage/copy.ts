import assert from 'node:assert/strict'
import { absent, get, names, put, rejects, type StorageBench, same, sample, storeCase, text } from './fixture.js'
import { checkProgress } from './save.js'

const MIB = 1024 * 1024

export function copyCases(bench: StorageBench): void {
  for (const size of [1, 1000, MIB + 1, 17 * MIB]) {
    storeCase(bench, `copies ${size} bytes`, async ({ store, open }) => {
      const bytes = sample(size)
      await put(store, 'source', bytes)
      const info = await store.copy('source', 'new/folder/target')
      assert.equal(info.name, 'new/folder/target')
      assert.equal(info.size, size)
      const other = await open()
      same(await get(other, 'new/folder/target'), bytes)
      same(await get(other, 'source'), bytes, 'the source')
      assert.deepEqual(await names(other), ['new/folder/target', 'source'])
    })
  }

  storeCase(bench, 'copies an object of zero bytes', async ({ store }) => {
    await put(store, 'empty', Buffer.alloc(0))
    assert.equal((await store.copy('empty', 'copy')).size, 0)
    await rejects(store.stat('copy'), 'STORAGE_EMPTY')
    assert.deepEqual(await names(store), ['copy', 'empty'])
  })

  storeCase(bench, 'copy replaces its target', async ({ store }) => {
    await put(store, 'source', 'new')
    await put(store, 'target', 'a longer old text')
    await store.copy('source', 'target')
    assert.equal(await text(store, 'target'), 'new')
  })

  storeCase(bench, 'a copy stays when its source is replaced and deleted', async ({ store }) => {
    await put(store, 'source', 'first')
    await store.copy('source', 'target')
    await put(store, 'source', 'other')
    assert.equal(await text(store, 'target'), 'first')
    await store.delete('source')
    assert.equal(await text(store, 'target'), 'first')
  })

  storeCase(bench, 'copies an object onto itself without harm', async ({ store }) => {
    await put(store, 'object', sample(100_000))
    assert.equal((await store.copy('object', 'object')).size, 100_000)
    same(await get(store, 'object'), sample(100_000))
    assert.deepEqual(await names(store), ['object'])
  })

  for (const name of ['missing', 'folder', 'folder/missing', 'folder/object/below']) {
    storeCase(bench, `copy refuses ${name}, which is not there, and leaves its target`, async ({ store }) => {
      await put(store, 'folder/object')
      await put(store, 'target', 'old')
      await rejects(store.copy(name, 'target'), 'STORAGE_NOT_FOUND')
      await rejects(store.copy(name, 'new'), 'STORAGE_NOT_FOUND')
      assert.equal(await text(store, 'target'), 'old')
      await absent(store, 'new')
    })
  }

  for (const size of [0, 1, 11 * MIB]) {
    storeCase(bench, `tells the progress of copying ${size} bytes`, async ({ store }) => {
      await put(store, 'source', sample(size))
      const told: number[] = []
      await store.copy('source', 'target', { onProgress: (bytes) => told.push(bytes) })
      checkProgress(told, size)
    })
  }

  storeCase(bench, 'copies many objects at once', async ({ store }) => {
    await put(store, 'source', sample(50_000))
    const targets = Array.from({ length: 24 }, (_, index) => `copies/${index}`)
    await Promise.all(targets.map((target) => store.copy('source', target)))
    assert.deepEqual(await names(store, 'copies/'), [...targets].sort())
    for (const target of targets) same(await get(store, target), sample(50_000))
  })
}
