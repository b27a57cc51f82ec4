import assert from 'node:assert/strict'
import { absent, names, put, rejects, type StorageBench, storeCase, text } from './fixture.js'

export function deleteCases(bench: StorageBench): void {
  storeCase(bench, 'delete removes an object, for every connection', async ({ store, open }) => {
    const other = await open()
    await put(store, 'folder/object')
    await store.delete('folder/object')
    await absent(store, 'folder/object')
    await absent(other, 'folder/object')
  })

  storeCase(bench, 'delete removes an object of zero bytes', async ({ store }) => {
    await put(store, 'empty', Buffer.alloc(0))
    await store.delete('empty')
    assert.deepEqual(await names(store), [])
  })

  for (const name of ['missing', 'folder/missing', 'missing/object', 'folder/object/below', 'folder/objec']) {
    storeCase(bench, `delete refuses ${name}, which is not there`, async ({ store }) => {
      await put(store, 'folder/object')
      await rejects(store.delete(name), 'STORAGE_NOT_FOUND')
      assert.deepEqual(await names(store), ['folder/object'])
    })
  }

  storeCase(bench, 'delete refuses a folder of objects, and none of them goes', async ({ store }) => {
    await put(store, 'folder/one')
    await put(store, 'folder/below/two')
    await rejects(store.delete('folder'), 'STORAGE_NOT_FOUND')
    await rejects(store.delete('folder/below'), 'STORAGE_NOT_FOUND')
    assert.deepEqual(await names(store), ['folder/below/two', 'folder/one'])
  })

  storeCase(bench, 'delete leaves objects whose names only begin alike', async ({ store }) => {
    for (const name of ['x', 'x1', 'x-y', 'xx/x']) await put(store, name)
    await store.delete('x')
    assert.deepEqual(await names(store), ['x-y', 'x1', 'xx/x'])
  })

  storeCase(bench, 'delete refuses what was deleted before', async ({ store }) => {
    await put(store, 'object')
    await store.delete('object')
    await rejects(store.delete('object'), 'STORAGE_NOT_FOUND')
  })

  storeCase(bench, 'saves again what was deleted', async ({ store }) => {
    for (let round = 0; round < 5; round++) {
      await put(store, 'a/b/c/object', `round ${round}`)
      assert.equal(await text(store, 'a/b/c/object'), `round ${round}`)
      await store.delete('a/b/c/object')
    }
    await put(store, 'a/b', 'where a folder was')
    assert.deepEqual(await names(store), ['a/b'])
  })

  storeCase(bench, 'deletes one object from two connections at once', async ({ store, open }) => {
    const other = await open()
    for (let round = 0; round < 20; round++) {
      await put(store, `folder/${round}`)
      const outcomes = await Promise.allSettled([store.delete(`folder/${round}`), other.delete(`folder/${round}`)])
      assert.ok(
        outcomes.some(({ status }) => status === 'fulfilled'),
        'neither could delete it',
      )
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') await rejects(Promise.reject(outcome.reason), 'STORAGE_NOT_FOUND')
      }
    }
    assert.deepEqual(await names(store), [])
  })

  storeCase(bench, 'saves into a folder while its other objects are deleted', async ({ store, open }) => {
    const other = await open()
    for (let round = 0; round < 60; round++) {
      await put(store, 'deep/er/folder/goes', 'x')
      await Promise.all([store.delete('deep/er/folder/goes'), put(other, `deep/er/folder/${round}`, 'y')])
      assert.equal(await text(store, `deep/er/folder/${round}`), 'y')
      await other.delete(`deep/er/folder/${round}`)
    }
    assert.deepEqual(await names(store), [])
  })
}
