import assert from 'node:assert/strict'
import { endpointOf, maxObjectBytes, unknownLogLevels } from './options.js'

describe('options of storage-s3', () => {
  it('takes the URL of a node before that of all', () => {
    const options = { bucket: 'b', endpointUrl: 'http://all', endpointUrlMap: { 'n1:27017': 'http://one' } }
    assert.equal(endpointOf(options, 'n1:27017'), 'http://one')
    assert.equal(endpointOf(options, 'n2:27017'), 'http://all')
    assert.equal(endpointOf(options, undefined), 'http://all')
    assert.equal(endpointOf({ bucket: 'b', endpointUrl: '' }, 'n1:27017'), undefined)
  })

  it('ignores a size of objects under 1 GiB, as PBM', () => {
    assert.equal(maxObjectBytes(0.5), maxObjectBytes(undefined))
    assert.equal(maxObjectBytes(1.5), 1.5 * 1024 ** 3)
  })

  it("knows PBM's log levels, old ones too", () => {
    assert.deepEqual(unknownLogLevels('Signing, HTTPBody,, Nonsense ,Retries'), ['Nonsense'])
    assert.deepEqual(unknownLogLevels(undefined), [])
  })
})
