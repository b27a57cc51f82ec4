import assert from 'node:assert/strict'
import { durationMillis, endpointOf, maxObjectBytes } from './options.js'

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

  it('take durations as Go writes them, and as PBM keeps them', () => {
    assert.equal(durationMillis('800ms', 1), 800)
    assert.equal(durationMillis('1m1.5s', 1), 61_500)
    assert.equal(durationMillis(800_000_000, 1), 800)
    for (const none of [undefined, 0, '0s']) assert.equal(durationMillis(none, 7), 7)
  })

  it('bound objects as PBM does', () => {
    assert.equal(maxObjectBytes(undefined), 194_560 * 1024 ** 3)
    assert.equal(maxObjectBytes(0.5), 194_560 * 1024 ** 3)
    assert.equal(maxObjectBytes(1.5), 1.5 * 1024 ** 3)
  })
})
