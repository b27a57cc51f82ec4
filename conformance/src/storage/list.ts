import assert from 'node:assert/strict'
import type { ObjectInfo } from '@pbmkit/core/plugin'
import { names, put, rejects, type StorageBench, sample, storeCase } from './fixture.js'

const TREE = [
  'a1',
  'a-b',
  'a/1',
  'a/10',
  'a/2',
  'a/b/1',
  'a/b/2',
  'a.b/1',
  'ab/1',
  'b',
  'c/d/e/f',
  'é/1',
  '%/1',
  '*/1',
  'A/1',
]

const PREFIXES: Readonly<Record<string, readonly string[]>> = {
  '': TREE,
  a: ['a1', 'a-b', 'a/1', 'a/10', 'a/2', 'a/b/1', 'a/b/2', 'a.b/1', 'ab/1'],
  'a/': ['a/1', 'a/10', 'a/2', 'a/b/1', 'a/b/2'],
  'a/1': ['a/1', 'a/10'],
  'a/10': ['a/10'],
  'a/100': [],
  'a/b': ['a/b/1', 'a/b/2'],
  'a/b/': ['a/b/1', 'a/b/2'],
  'a/b/2': ['a/b/2'],
  'a.': ['a.b/1'],
  A: ['A/1'],
  b: ['b'],
  'b/': [],
  c: ['c/d/e/f'],
  'c/d/e/f': ['c/d/e/f'],
  'c/d/e/f/': [],
  é: ['é/1'],
  '%': ['%/1'],
  '*': ['*/1'],
  'missing/': [],
  'missing/below': [],
  '/': [],
  '/a': [],
  'a//': [],
  '.': [],
  './a': [],
  '../': [],
  'a/../': [],
  'a/./b': [],
}

export function listCases(bench: StorageBench): void {
  for (const [prefix, expected] of Object.entries(PREFIXES)) {
    storeCase(bench, `lists what begins with ${JSON.stringify(prefix)}`, async ({ store, open }) => {
      for (const name of TREE) await put(store, name)
      assert.deepEqual(await names(await open(), prefix), [...expected].sort())
    })
  }

  storeCase(bench, 'lists nothing in an empty store, with any prefix', async ({ store }) => {
    for (const prefix of [undefined, '', 'a', 'a/', 'a/b/c/']) assert.deepEqual(await names(store, prefix), [])
  })

  storeCase(bench, 'lists sizes, of zero bytes too', async ({ store }) => {
    const sizes = { none: 0, one: 1, some: 1000, 'folder/more': 70_000 }
    for (const [name, size] of Object.entries(sizes)) await put(store, name, sample(size))
    const found: ObjectInfo[] = []
    for await (const info of store.list()) found.push(info)
    assert.deepEqual(Object.fromEntries(found.map(({ name, size }) => [name, size])), {
      ...sizes,
    })
  })

  storeCase(bench, 'lists 3,000 objects, each once', async ({ store, open }) => {
    const all = Array.from({ length: 3000 }, (_, index) => `folder-${index % 7}/object-${index}`)
    for (let at = 0; at < all.length; at += 50)
      await Promise.all(all.slice(at, at + 50).map((name) => put(store, name, 'x')))
    const other = await open()
    assert.deepEqual(await names(other), [...all].sort())
    const third = all.filter((name) => name.startsWith('folder-3/'))
    assert.deepEqual(await names(other, 'folder-3/'), third.sort())
  })

  storeCase(bench, 'lists 2,500 objects of one folder, each once', async ({ store }) => {
    const all = Array.from({ length: 2500 }, (_, index) => `flat/${index}`)
    for (let at = 0; at < all.length; at += 50)
      await Promise.all(all.slice(at, at + 50).map((name) => put(store, name, 'x')))
    assert.deepEqual(await names(store), [...all].sort())
  })

  storeCase(bench, 'lets a reader of the list break off', async ({ store }) => {
    for (const name of TREE) await put(store, name)
    for (let round = 0; round < 20; round++) {
      for await (const { name } of store.list()) {
        assert.ok(TREE.includes(name))
        break
      }
    }
    assert.equal((await names(store)).length, TREE.length)
  })

  storeCase(bench, 'gives two lists at once', async ({ store }) => {
    for (const name of TREE) await put(store, name)
    const [first, second] = await Promise.all([names(store), names(store, 'a/')])
    assert.equal(first.length, TREE.length)
    assert.equal(second.length, 5)
  })

  storeCase(bench, 'lists what stays, while others are saved and deleted', async ({ store, open }) => {
    const other = await open()
    const stays = Array.from({ length: 100 }, (_, index) => `x${index % 5}/stays-${index}`)
    for (const name of stays) await put(store, name, 'x')
    let listing = true
    const changing = (async () => {
      for (let round = 0; listing; round = (round + 1) % 20) {
        await put(other, `x${round % 5}/goes-${round}`, 'y')
        await put(other, `gone${round}/below/${round}`, 'y')
        await other.delete(`x${round % 5}/goes-${round}`)
        await other.delete(`gone${round}/below/${round}`)
      }
    })()
    try {
      for (let round = 0; round < 20; round++) {
        const found = await names(store)
        assert.deepEqual(
          found.filter((name) => name.includes('stays')),
          [...stays].sort(),
        )
      }
    } finally {
      listing = false
      await changing
    }
  })

  storeCase(bench, 'lists no longer what was deleted', async ({ store }) => {
    for (const name of TREE) await put(store, name)
    for (const name of TREE.filter((each) => each.startsWith('a/'))) await store.delete(name)
    assert.deepEqual(await names(store), TREE.filter((each) => !each.startsWith('a/')).sort())
    assert.deepEqual(await names(store, 'a/'), [])
  })

  storeCase(bench, 'list gives names that stat and read take', async ({ store }) => {
    for (const name of TREE) await put(store, name)
    for await (const { name, size } of store.list({ prefix: 'a' })) {
      assert.equal((await store.stat(name)).size, size)
    }
    await rejects(store.stat('a/b'), 'STORAGE_NOT_FOUND')
  })
}
