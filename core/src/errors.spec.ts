import assert from 'node:assert/strict'
import { errorText, PbmError } from './errors.js'

describe('the text of an error', () => {
  it('has messages, hints and causes in their order, each once', () => {
    const key = new PbmError('KEY', 'no key', { hint: 'bring it', cause: new Error('no such file') })
    assert.equal(errorText(key), 'no key: bring it: no such file')
    const told = new PbmError('RESTORE', errorText(key), { hint: 'Nothing was changed.', cause: key })
    assert.equal(errorText(told), 'no key: bring it: no such file: Nothing was changed.')
  })

  it('has no documents that a server quotes', () => {
    const quoting = [
      'E11000 duplicate key error collection: shop.a index: mail_1 dup key: { mail: "hush" }',
      'E11000 duplicate key error collection: shop.a index: x_1 dup key: { x: "} hush" }',
      'E11000 duplicate key error collection: shop.a index: x_1 dup key: { x: { y: "hush" }, z: "hush',
      'E11000 dup key: { x: "a}", y: "hush...',
      "Cannot apply $inc to a value of non-numeric type. {_id: 'hush'} has the field 'n' of non-numeric type string",
      'BSONObj size: 17000000 (0x1036640) is invalid. Size must be between 0 and 16793600(16MB) First element: _id: "hush"',
      'language override unsupported: hush',
      '{ hush }',
    ]
    for (const message of quoting) {
      const error = Object.assign(new Error(message), { name: 'MongoServerError', code: 11000 })
      assert.doesNotMatch(errorText(error), /hush/)
      assert.doesNotMatch(errorText(new PbmError('X', `failed: ${errorText(error)}`, { cause: error })), /hush/)
    }
    const error = Object.assign(new Error(quoting[0]), { name: 'MongoServerError' })
    assert.equal(errorText(error), 'E11000 duplicate key error collection: shop.a index: mail_1 dup key: {…}')
  })

  it('is all of it for errors of others', () => {
    assert.equal(errorText(new Error('the option {a} is wrong')), 'the option {a} is wrong')
    const plain = Object.assign(new Error('not primary'), { name: 'MongoServerError' })
    assert.equal(errorText(plain), 'not primary')
  })
})
