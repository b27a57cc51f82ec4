import assert from 'node:assert/strict'
import { endpointOf, maxObjectBytes } from './options.js'

describe('options of Azure', () => {
  it('tell where the blob service is', () => {
    const options = { account: 'acme', container: 'c' }
    assert.equal(endpointOf(options, undefined), 'https://acme.blob.core.windows.net')
    const endpointUrl = 'http://127.0.0.1:10000/acme/'
    const endpointUrlMap = { 'a:1': 'http://other:10000/acme' }
    assert.equal(endpointOf({ ...options, endpointUrl }, 'a:1'), 'http://127.0.0.1:10000/acme')
    assert.equal(endpointOf({ ...options, endpointUrl, endpointUrlMap }, 'a:1'), 'http://other:10000/acme')
    assert.equal(endpointOf({ ...options, endpointUrl, endpointUrlMap }, 'b:1'), 'http://127.0.0.1:10000/acme')
    assert.equal(endpointOf({ ...options, endpointUrl: '', endpointUrlMap }, 'b:1'), endpointOf(options, undefined))
  })

  it('bound objects as PBM does', () => {
    assert.equal(maxObjectBytes(undefined), 194_560 * 1024 ** 3)
    assert.equal(maxObjectBytes(0.5), 194_560 * 1024 ** 3)
    assert.equal(maxObjectBytes(1.5), 1.5 * 1024 ** 3)
  })
})
