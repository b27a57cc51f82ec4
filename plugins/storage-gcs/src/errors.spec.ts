import assert from 'node:assert/strict'
import { HttpFailure, translated } from './errors.js'

describe('errors of storage-gcs', () => {
  const scene = { doing: 'reading gs://b/x', bucket: 'b', endpoint: 'https://storage.googleapis.com' }
  const codeOf = (error: Error) => {
    const { code, retriable } = translated(error, scene)
    return `${code}${retriable ? ' retriable' : ''}`
  }

  it('takes no object for a fault of the clock or the key because of its name', () => {
    for (const name of [
      'shop.variations.gz',
      'a.iat.gz',
      'a.exp future',
      'a.invalid_grant.gz',
      'default credentials',
    ]) {
      assert.equal(codeOf(new HttpFailure(404, 'notFound', `No such object: b/${name}`)), 'STORAGE_NOT_FOUND', name)
      assert.equal(codeOf(new HttpFailure(503, '', `no ${name} for now`)), 'STORAGE_UNAVAILABLE retriable', name)
    }
    const denied = new HttpFailure(403, 'forbidden', 'the billing account associated with it is closed')
    assert.match(translated(denied, scene).message, /access denied/)
    assert.equal(codeOf(new Error('failed to initiate the connection')), 'STORAGE_UNAVAILABLE retriable')
  })

  it('knows what the token service says', () => {
    const clock = 'invalid_grant: Invalid JWT: Token must be a short-lived token; check your iat and exp values'
    for (const error of [Object.assign(new Error(clock), { status: 400 }), new Error(clock)])
      assert.match(translated(error, scene).message, /set the clock/)
    const signature = Object.assign(new Error('invalid_grant: Invalid JWT Signature.'), { status: 400 })
    assert.match(translated(signature, scene).message, /the private key is not/)
    assert.match(translated(new Error('Could not load the default credentials.'), scene).message, /no identity/)
  })
})
