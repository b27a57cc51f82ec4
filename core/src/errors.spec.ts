import assert from 'node:assert/strict'
import { errorText, PbmError } from './errors.js'

describe('the text of an error', () => {
  it('has messages, hints and causes in their order, each once', () => {
    const key = new PbmError('KEY', 'no key', { hint: 'bring it', cause: new Error('no such file') })
    assert.equal(errorText(key), 'no key: bring it: no such file')
    const told = new PbmError('RESTORE', errorText(key), { hint: 'Nothing was changed.', cause: key })
    assert.equal(errorText(told), 'no key: bring it: no such file: Nothing was changed.')
  })
})
