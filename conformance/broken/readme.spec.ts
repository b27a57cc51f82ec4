import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BROKEN_COMPRESSIONS } from './compression.js'
import { BROKEN_ENCRYPTIONS } from './encryption.js'
import { BROKEN_STORAGES } from './storage.js'
import { BROKEN_REFUSALS } from './storage-refusals.js'

describe('the README of the suites', () => {
  it('counts the broken plugins, at least 25 of each kind', async () => {
    const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
    const counted = [...readme.matchAll(/ and (\d+)\s+(?:stores )?that differ from it/g)].map(([, count]) =>
      Number(count),
    )
    const storages = { ...BROKEN_STORAGES, ...BROKEN_REFUSALS }
    const expected = [storages, BROKEN_COMPRESSIONS, BROKEN_ENCRYPTIONS].map((plugins) => Object.keys(plugins).length)
    assert.deepEqual(counted, expected)
    assert.ok(expected.every((count) => count >= 25))
  })
})
