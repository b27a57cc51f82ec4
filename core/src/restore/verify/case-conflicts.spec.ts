import assert from 'node:assert/strict'
import { clashesOf } from './case-conflicts.js'

describe('Databases of a backup and of a target', () => {
  const clashes = (target: string[], restored: string[]) => clashesOf(target, new Set(restored))

  it('clash when they differ in case only', () => {
    assert.deepEqual(clashes(['admin', 'Shop', 'x'], ['admin', 'shop', 'y']), [{ theirs: 'Shop', ours: 'shop' }])
    assert.deepEqual(clashes(['ab', 'cd'], ['AB', 'Cd']), [
      { theirs: 'ab', ours: 'AB' },
      { theirs: 'cd', ours: 'Cd' },
    ])
  })

  it('do not clash when they are the same, or differ otherwise', () => {
    assert.deepEqual(clashes(['shop', 'shops', 'local'], ['shop', 'sho']), [])
    // Letters beyond ASCII are different to the server.
    assert.deepEqual(clashes(['Öl'], ['öl']), [])
    assert.deepEqual(clashes([], ['a']), [])
  })
})
