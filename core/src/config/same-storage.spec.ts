import assert from 'node:assert/strict'
import { host } from './config.support.js'
import { sameStorage } from './same-storage.js'

describe('whether two configurations name the same storage', () => {
  const base = { bucket: 'b', prefix: 'p', credentials: { 'access-key-id': '1' } }
  const PAIRS: [string, object, boolean][] = [
    ['other credentials', { ...base, credentials: { 'access-key-id': '2' } }, true],
    ['outer slashes', { ...base, bucket: '/b/', prefix: 'p/' }, true],
    ['an empty map', { ...base, endpointUrlMap: {} }, true],
    ['another bucket', { ...base, bucket: 'c' }, false],
    ['no prefix', { bucket: 'b' }, false],
    ['an endpoint for a node', { ...base, endpointUrlMap: { 'h:1': 'x' } }, false],
  ]
  for (const [what, options, same] of PAIRS) {
    it(`takes a storage with ${what} for ${same ? 'the same' : 'another'}`, async () => {
      assert.equal(await sameStorage({ type: 'cloud', cloud: base }, { type: 'cloud', cloud: options }, host), same)
    })
  }
})
