import assert from 'node:assert/strict'
import type { EncryptionPlugin } from '@pbmkit/core/plugin'
import { encryptionConformance } from '../src/encryption.js'
import type { TestRunner } from '../src/runner.js'
import { BROKEN_ENCRYPTIONS } from './encryption.js'
import { type ReferenceOptions, referenceEncryption } from './reference-encryption.js'

const FIRST = '1a'.repeat(32)
const SECOND = '2b'.repeat(32)

function suite(plugin: EncryptionPlugin<ReferenceOptions>, runner: TestRunner): void {
  encryptionConformance({
    ...runner,
    plugin,
    options: () => ({ keys: [FIRST] }),
    otherOptions: () => ({ keys: [SECOND] }),
    rotatedOptions: () => ({ keys: [SECOND, FIRST] }),
    missingOptions: () => ({ keys: [] }),
    secrets: [FIRST, SECOND],
    wrapsKeys: true,
    bindsNames: true,
  })
}

/** The cases of the suite for `plugin`, by title. */
function casesFor(plugin: EncryptionPlugin<ReferenceOptions>): Map<string, () => Promise<void>> {
  const cases = new Map<string, () => Promise<void>>()
  suite(plugin, {
    describe: (_title, body) => body(),
    it: (title, body) => {
      assert.ok(!cases.has(title), `two cases are called ${title}`)
      cases.set(title, body)
    },
  })
  return cases
}

suite(referenceEncryption(), { describe, it })

describe('the encryption suite rejects a plugin that', () => {
  for (const [fault, { plugin, caught }] of Object.entries(BROKEN_ENCRYPTIONS)) {
    it(`${fault}, by '${caught}'`, async () => {
      const found = casesFor(plugin).get(caught)
      assert.ok(found !== undefined, 'the suite has no such case')
      await assert.rejects(found)
    })
  }
})
