import assert from 'node:assert/strict'
import { refuseProfileName } from './profile-name.js'

describe('The name of a profile', () => {
  it('is not that of the main storage and has no control characters', () => {
    for (const name of ['main', 'a\u001b[2J']) {
      assert.throws(() => refuseProfileName(name), { code: 'COMMAND_INVALID' })
    }
    for (const name of ['weekly', 'Main archive']) refuseProfileName(name)
  })
})
