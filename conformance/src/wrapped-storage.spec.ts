import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { wrappedStore } from '@pbmkit/core'
import type { ObjectStore } from '@pbmkit/core/plugin'
import { freshPlace, MemoryStore, memoryPlugin } from '../broken/reference-storage.js'
import { storageConformance } from './storage.js'

const MIB = 1024 * 1024

/** Cases that replace an object in parts again and again while others look: see there. */
const REPLACES_PARTS = new Set([
  'shows readers the one object or the other, never a mixture, while it is replaced',
  'shows the old target or the new one while an object is copied onto it',
  'keeps one of many that are saved under one name at once',
])

/** A store of a plugin whose server keeps `maxBytes` in an object. */
function limited(store: ObjectStore, maxObjectBytes: number): ObjectStore {
  return Object.assign(Object.create(store) as ObjectStore, {
    capabilities: { ...store.capabilities, maxObjectBytes },
  })
}

function wrappedPlugin(maxObjectBytes: number, name: string) {
  const plugin = memoryPlugin((objects, context) =>
    wrappedStore(limited(new MemoryStore(objects, context.signal), maxObjectBytes), context, ['a secret'], {
      throttle: { upload: 1e12, download: 1e12 },
    }),
  )
  return { ...plugin, name }
}

describe('the storage in memory', () => {
  it('tells two objects of one size apart that were saved within a millisecond', async () => {
    const store = new MemoryStore(new Map(), new AbortController().signal)
    const times = new Set<number | undefined>()
    for (let version = 0; version < 100; version++) {
      const { modifiedAt } = await store.save('object', Readable.from([Buffer.from(`${version % 10}`)]))
      times.add(modifiedAt?.getTime())
    }
    assert.equal(times.size, 100)
  })
})

describe('core wraps any storage and keeps its contract', () => {
  storageConformance({ describe, it, plugin: wrappedPlugin(MIB, 'parts-of-1-MiB'), options: freshPlace })

  storageConformance({
    describe,
    // The names of parts are PBM's and the same for every object of a name. While one in parts takes the place of another
    // there is none, as the contract allows and these cases, which replace in one step, do not.
    it: (title, body) => void (REPLACES_PARTS.has(title) ? undefined : it(title, body)),
    plugin: wrappedPlugin(50_000, 'parts-of-50-kB'),
    options: freshPlace,
  })
})
