import assert from 'node:assert/strict'
import type { ObjectStore } from '@pbmkit/core/plugin'
import {
  absent,
  body,
  get,
  names,
  put,
  rejects,
  type StorageBench,
  same,
  sample,
  storeCase,
  text,
  titleOf,
} from './fixture.js'

/** Legal in MongoDB's namespaces, or written by PBM, and each a trap for some store. */
const LEGAL: readonly string[] = [
  'plain',
  'with space',
  ' leading space',
  'trailing space ',
  'trailing.dot.',
  '.hidden',
  '..two dots',
  'two dots..',
  '...',
  'a/.hidden/..x/y..',
  '-rf',
  '~',
  '$cmd',
  '%',
  '%2F',
  '%00',
  '%2e%2e/x',
  'plus+plus',
  'question?mark=1&other=2#part',
  'semi;colon',
  'colon:colon',
  'star*',
  'pipe|less<more>',
  'back\\slash\\',
  '"double" \'single\' `back`',
  'brackets[0](1){2}',
  'caret^at@bang!',
  'tab\tand\nnew line\r',
  'control\u0001\u001f\u007f',
  'é composed',
  'e\u0301 decomposed',
  'ß ſ İ ı',
  '中文/日本語/한국어',
  'emoji 🍃 family 👨‍👩‍👧',
  'right\u202eto left',
  'zero\u200bwidth \ufeff',
  'nul',
  'CON',
  'aux.txt',
  'constructor',
  '__proto__',
  'Upper and lower',
  '2026-11-22T02:59:29Z/rs0/shop.weird/na me%é:x?&#.s2',
  '2026-11-22T02:59:29Z.pbm.json',
  'pbmPitr/rs0/20261122/20261122025929-1.20261122030929-12.oplog.s2',
  '.pbm.init',
  'a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z',
]

const ILLEGAL: readonly string[] = [
  '',
  '/',
  '/absolute',
  'folder/',
  'double//slash',
  '.',
  '..',
  './here',
  '../outside',
  'inside/..',
  'inside/../outside',
  'inside/./here',
  'a/b/../../../outside',
  'nul\0inside',
  'half of a pair \ud83c',
  `${'x/'.repeat(512)}x`,
  `${'é/'.repeat(341)}ab`,
]

type Call = (store: ObjectStore, name: string) => Promise<unknown>

const CALLS: Readonly<Record<string, Call>> = {
  save: (store, name) => store.save(name, body(sample(10))),
  read: (store, name) => store.read(name),
  stat: (store, name) => store.stat(name),
  delete: (store, name) => store.delete(name),
  'copy from it': (store, name) => store.copy(name, 'target'),
  'copy to it': (store, name) => store.copy('source', name),
}

export function nameCases(bench: StorageBench): void {
  for (const name of LEGAL) {
    storeCase(bench, `keeps an object called ${titleOf(name)}`, async ({ store, open }) => {
      const bytes = sample(1000, name.length)
      assert.equal((await put(store, name, bytes)).name, name, 'save answers with another name')
      const other = await open()
      same(await get(other, name), bytes)
      assert.equal((await other.stat(name)).name, name, 'stat answers with another name')
      assert.deepEqual(await names(other), [name])
      assert.deepEqual(
        await names(other, [...name].slice(0, -1).join('')),
        [name],
        'the name less its last character is a prefix of it',
      )
      await other.delete(name)
      await absent(store, name)
    })
  }

  storeCase(bench, 'keeps names that use every ASCII character', async ({ store }) => {
    const characters = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)).filter(
      (each) => each !== '/',
    )
    const all = characters.map((each) => `x${each}y`)
    for (const name of all) await put(store, name, name)
    assert.deepEqual(await names(store), [...all].sort())
    for (const name of all) assert.equal(await text(store, name), name)
  })

  storeCase(bench, 'keeps names apart that differ by case only', async ({ store }) => {
    await put(store, 'Name', 'upper')
    await put(store, 'name', 'lower')
    assert.equal(await text(store, 'Name'), 'upper')
    assert.equal(await text(store, 'name'), 'lower')
    assert.deepEqual(await names(store), ['Name', 'name'])
  })

  storeCase(bench, 'keeps names apart that differ by Unicode normal form only', async ({ store }) => {
    await put(store, '\u00e9', 'composed')
    await put(store, 'e\u0301', 'decomposed')
    assert.equal(await text(store, '\u00e9'), 'composed')
    assert.equal(await text(store, 'e\u0301'), 'decomposed')
  })

  for (const [kind, unit] of [
    ['ASCII', 'n'],
    ['two-byte', 'é'],
    ['four-byte', '🍃'],
  ] as const) {
    storeCase(bench, `keeps a name of 1,024 bytes in ${kind} characters`, async ({ store }) => {
      const bytes = 1024 - (bench.reservedNameBytes ?? 0)
      const name = longName(bytes, unit, store.capabilities.maxSegmentBytes)
      assert.equal(Buffer.byteLength(name), bytes)
      await put(store, name, 'long')
      assert.equal(await text(store, name), 'long')
      assert.deepEqual(await names(store), [name])
      await store.copy(name, 'short')
      await store.copy('short', name)
      await store.delete(name)
      await absent(store, name)
    })

    storeCase(
      bench,
      `keeps the longest segment in ${kind} characters, and refuses one byte more`,
      async ({ store }) => {
        const longest = store.capabilities.maxSegmentBytes ?? 1024 - (bench.reservedNameBytes ?? 0)
        const segment = filled(longest, unit)
        await put(store, segment, 'long')
        assert.equal(await text(store, segment), 'long')
        await rejects(put(store, `${segment}x`), 'STORAGE_INVALID_NAME')
        await rejects(store.stat(`${segment}x`), 'STORAGE_INVALID_NAME')
        assert.deepEqual(await names(store), [segment])
      },
    )
  }

  storeCase(bench, 'refuses names that end in its reserved suffix, or has none', async ({ store }) => {
    const { reservedSuffix } = store.capabilities
    const name = `object${reservedSuffix ?? '.tmp'}`
    if (reservedSuffix === undefined) {
      await put(store, name, 'kept')
      assert.deepEqual(await names(store), [name])
    } else {
      for (const call of Object.values(CALLS)) await rejects(call(store, name), 'STORAGE_INVALID_NAME')
      assert.deepEqual(await names(store), [])
    }
  })

  storeCase(
    bench,
    'keeps an object beside others below its name, or refuses it and harms neither',
    async ({ store }) => {
      await put(store, 'a/b', 'below')
      await put(store, 'c', 'above')
      for (const [name, other] of [
        ['a', 'a/b'],
        ['c/d', 'c'],
      ] as const) {
        const outcome = await put(store, name, 'clash').catch((error: unknown) => error)
        if (outcome instanceof Error) await rejects(Promise.reject(outcome), 'STORAGE_INVALID_NAME')
        else assert.equal(await text(store, name), 'clash')
        assert.equal(await text(store, other), other === 'c' ? 'above' : 'below')
      }
    },
  )

  for (const [method, call] of Object.entries(CALLS)) {
    for (const name of ILLEGAL) {
      storeCase(bench, `${method} refuses the name ${titleOf(name)}`, async ({ store }) => {
        await put(store, 'source')
        await rejects(call(store, name), 'STORAGE_INVALID_NAME')
        assert.deepEqual(await names(store), ['source'], 'something changed')
      })
    }
  }

  storeCase(bench, 'save refuses an illegal name before it asks the body for anything', async ({ store }) => {
    let asked = false
    async function* source(): AsyncGenerator<Uint8Array> {
      asked = true
      yield sample(1)
    }
    await rejects(store.save('../x', source()), 'STORAGE_INVALID_NAME')
    assert.equal(asked, false)
  })
}

function filled(bytes: number, unit: string): string {
  const size = Buffer.byteLength(unit)
  return unit.repeat(Math.floor(bytes / size)) + 'x'.repeat(bytes % size)
}

function longName(bytes: number, unit: string, segmentBytes = bytes): string {
  const segments: string[] = []
  for (let left = bytes; left > 0; ) {
    // Never a single byte left over: it would be a slash with nothing behind it.
    const length = left - segmentBytes - 1 === 0 ? segmentBytes - 1 : Math.min(segmentBytes, left)
    segments.push(filled(length, unit))
    left -= length + 1
  }
  return segments.join('/')
}
