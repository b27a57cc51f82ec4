import assert from 'node:assert/strict'
import type { StoragePlugin } from '@pbmkit/core/plugin'
import { storageConformance } from '../src/storage.js'
import { failing, freshPlace, reference } from './reference-storage.js'
import { BROKEN_STORAGES } from './storage.js'
import { BROKEN_REFUSALS } from './storage-refusals.js'

/** The cases of the suite for `plugin`, by title. */
function casesFor(plugin: StoragePlugin): Map<string, () => Promise<void>> {
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
