import assert from 'node:assert/strict'
import type { CompressionPlugin } from '@pbmkit/core/plugin'
import { compressionConformance } from '../src/compression.js'
import { BROKEN_COMPRESSIONS } from './compression.js'
import { reference } from './reference-compression.js'

/** The cases of the suite for `plugin`, by title. */
function casesFor(plugin: CompressionPlugin): Map<string, () => Promise<void>> {
  const cases = new Map<string, () => Promise<void>>()
  compressionConformance({
    describe: (_title, body) => body(),
    it: (title, body) => {
      assert.ok(!cases.has(title), `two cases are called ${title}`)
      cases.set(title, body)
    },
    plugin,
  })
  return cases
}

compressionConformance({ describe, it, plugin: reference })

describe('the compression suite rejects a codec that', () => {
  for (const [fault, { plugin, caught }] of Object.entries(BROKEN_COMPRESSIONS)) {
    it(`${fault}, by '${caught}'`, async () => {
      const found = casesFor(plugin).get(caught)
      assert.ok(found !== undefined, 'the suite has no such case')
      await assert.rejects(found)
    })
  }
})
