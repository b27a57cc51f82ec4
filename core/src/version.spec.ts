import assert from 'node:assert/strict'
import { untriedServerText } from './version.js'

describe('servers that were not tried', () => {
  it('are told of, others not', () => {
    for (const version of ['4.4.2', '5.0.32', '6.0.27-22', '7.0.28'])
      assert.equal(untriedServerText(version), undefined)
    for (const version of ['4.2.6', '6.1.0', '8.0.4']) assert.match(untriedServerText(version) ?? '', /was not tried/)
  })
})
