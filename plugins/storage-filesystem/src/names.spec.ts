import assert from 'node:assert/strict'
import { join, relative } from 'node:path'
import { hasCode } from '@pbmkit/core/plugin'
import fc from 'fast-check'
import { checkName } from './names.js'

const ROOT = '/backups/root'
const TRICKS = ['.', '..', '/', '', '\0', 'a', 'é', '🍃', '\ud800', '.tmp', '\\', 'x'.repeat(255), ' ']
const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.array(fc.constantFrom(...TRICKS), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.array(fc.constantFrom(...TRICKS), { maxLength: 12 }).map((parts) => parts.join('/')),
)

describe('checkName', () => {
  it('lets no name lead out of the root, or to another file', () => {
    fc.assert(
      fc.property(name, (candidate) => {
        try {
          checkName(candidate)
        } catch (error) {
          assert.ok(hasCode(error, 'STORAGE_INVALID_NAME'))
          return
        }
        const path = join(ROOT, candidate)
        assert.equal(relative(ROOT, path), candidate)
        assert.equal(Buffer.from(path).toString(), path, 'the name is another one on the disk')
        for (const segment of candidate.split('/')) assert.ok(Buffer.byteLength(segment) <= 255)
      }),
      { numRuns: 2000 },
    )
  })
})
