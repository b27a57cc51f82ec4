import assert from 'node:assert/strict'
import type { ListOptions, ObjectInfo, StoragePlugin } from '@pbmkit/core/plugin'
import { storageConformance } from '../src/storage.js'
import { failing, freshPlace, MemoryStore, memoryPlugin, reference } from './reference-storage.js'
import { BROKEN_STORAGES } from './storage.js'
import { BROKEN_REFUSALS } from './storage-refusals.js'
import { UnhurriedStore } from './unhurried-storage.js'

/** The cases of the suite for `plugin`, by title. */
function casesFor(plugin: StoragePlugin, caseMs?: number): Map<string, () => Promise<void>> {
  const cases = new Map<string, () => Promise<void>>()
  storageConformance({
    describe: (_title, body) => body(),
    it: (title, body) => {
      assert.ok(!cases.has(title), `two cases are called ${title}`)
      cases.set(title, body)
    },
    plugin,
    options: freshPlace,
    failing,
    caseMs,
  })
  return cases
}

storageConformance({ describe, it, plugin: reference, options: freshPlace, failing })

describe('the storage suite rejects a store that', () => {
  for (const [fault, { plugin, caught }] of Object.entries({ ...BROKEN_STORAGES, ...BROKEN_REFUSALS })) {
    it(`${fault}, by '${caught}'`, async () => {
      const found = casesFor(plugin).get(caught)
      assert.ok(found !== undefined, 'the suite has no such case')
      await assert.rejects(found)
    })
  }
})

describe('the storage suite', () => {
  const unhurried = memoryPlugin((objects, { signal }) => new UnhurriedStore(objects, signal))
  for (const [title, run] of casesFor(unhurried)) {
    if (/shows (readers the one|a new object whole|the old target)/.test(title))
      it(`leaves a store time for timers and I/O: ${title}`, run)
  }

  it('ends a case that hangs, and says which it is', async () => {
    class Hangs extends MemoryStore {
      override stat(): Promise<never> {
        return new Promise(() => undefined)
      }
    }
    const plugin = memoryPlugin((objects, { signal }) => new Hangs(objects, signal))
    const title = 'stat tells name and size'
    await assert.rejects(casesFor(plugin, 50).get(title) ?? assert.fail('no such case'), {
      message: `the case "${title}" did not end within 0.05 s`,
    })
  })

  it('lists by whole characters only', async () => {
    class Strict extends MemoryStore {
      override async *list(options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
        assert.ok(options.prefix?.isWellFormed() !== false, 'a prefix is half a character')
        yield* super.list(options)
      }
    }
    const plugin = memoryPlugin((objects, { signal }) => new Strict(objects, signal))
    for (const [title, run] of casesFor(plugin)) if (title.startsWith('keeps an object called')) await run()
  })
})
