import assert from 'node:assert/strict'
import { body, names, put, rejects, type StorageBench, sample, storeCase } from './fixture.js'

const DAY = 24 * 3600 * 1000

export function statCases(bench: StorageBench): void {
  storeCase(bench, 'stat tells name and size', async ({ store }) => {
    await put(store, 'folder/object', sample(12_345))
    const { name, size } = await store.stat('folder/object')
    assert.deepEqual({ name, size }, { name: 'folder/object', size: 12_345 })
  })

  storeCase(bench, 'stat tells the size of what replaced an object', async ({ store, open }) => {
    const other = await open()
    await put(store, 'object', sample(100))
    assert.equal((await other.stat('object')).size, 100)
    await put(store, 'object', sample(50))
    assert.equal((await other.stat('object')).size, 50)
  })

  for (const name of [
    'missing',
    'folder',
    'folder/',
    'folder/missing',
    'folder/object/below',
    'folder/objec',
    'folder/object1',
  ]) {
    if (name.endsWith('/')) continue
    storeCase(bench, `stat refuses ${name}, which is not there`, async ({ store }) => {
      await put(store, 'folder/object')
      await rejects(store.stat(name), 'STORAGE_NOT_FOUND')
    })
  }

  storeCase(bench, 'stat refuses an object of zero bytes', async ({ store }) => {
    await put(store, 'empty', Buffer.alloc(0))
    await rejects(store.stat('empty'), 'STORAGE_EMPTY')
  })

  storeCase(bench, 'tells when an object was saved, everywhere or nowhere', async ({ store }) => {
    const before = Date.now()
    const infos = [await put(store, 'object'), await store.stat('object'), await store.copy('object', 'copy')]
    for await (const info of store.list()) infos.push(info)
    assert.equal(infos.length, 5)
    for (const { modifiedAt } of infos) {
      if (!store.capabilities.modifiedAt) {
        assert.equal(modifiedAt, undefined)
        continue
      }
      assert.ok(modifiedAt instanceof Date, 'modifiedAt is not a Date')
      // The clock is the store's own; a day's difference is a unit mistaken.
      assert.ok(Math.abs(modifiedAt.getTime() - before) < DAY, `modifiedAt is ${modifiedAt.toISOString()}`)
    }
  })

  storeCase(bench, 'says what it can do by the types of the contract', async ({ store }) => {
    const { capabilities } = store
    for (const key of ['ifAbsent', 'serverSideCopy', 'modifiedAt'] as const)
      assert.equal(typeof capabilities[key], 'boolean', key)
    for (const key of ['maxSegmentBytes', 'maxObjectBytes'] as const) {
      const value = capabilities[key]
      assert.ok(value === undefined || (Number.isInteger(value) && value > 0), `${key} is ${value}`)
    }
    const suffix = capabilities.reservedSuffix
    assert.ok(suffix === undefined || (typeof suffix === 'string' && suffix !== ''), `reservedSuffix is ${suffix}`)
  })

  storeCase(bench, 'starts empty, and opening writes no object', async ({ store, open }) => {
    assert.deepEqual(await names(store), [])
    assert.deepEqual(await names(await open()), [])
  })

  storeCase(bench, 'shows at once what another connection saved', async ({ store, open }) => {
    const other = await open()
    await store.save('object', body(sample(10)))
    assert.equal((await other.stat('object')).size, 10)
    assert.deepEqual(await names(other), ['object'])
    await other.delete('object')
    await rejects(store.stat('object'), 'STORAGE_NOT_FOUND')
  })
}
