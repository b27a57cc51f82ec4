import assert from 'node:assert/strict'
import { join, relative } from 'node:path'
import fc from 'fast-check'
import { whyIllegalName } from './object-name.js'

const ROOT = '/backups/root'
const TRICKS = ['.', '..', '/', '', '\0', 'a', 'é', '🍃', '\ud800', '.tmp', '\\', 'x'.repeat(255), ' ']
const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.constantFrom(...TRICKS), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.array(fc.constantFrom(...TRICKS), { maxLength: 12 }).map((parts) => parts.join('/')),
)

describe('a legal object name', () => {
  it('leads to one file below the folder of a storage', () => {
    fc.assert(
      fc.property(name, (candidate) => {
        if (whyIllegalName(candidate, { maxSegmentBytes: 255 }) !== undefined) return
        const path = join(ROOT, candidate)
        assert.equal(relative(ROOT, path), candidate)
        assert.equal(Buffer.from(path).toString(), path, 'the name is another one on the disk')
        for (const segment of candidate.split('/')) assert.ok(Buffer.byteLength(segment) <= 255)
      }),
      { numRuns: 2000 },
    )
  })
})
