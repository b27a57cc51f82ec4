import assert from 'node:assert/strict'
import { prettySize, sizeInIecUnits } from './bytes.js'

describe('sizes for people', () => {
  it('prints powers of 1024 with two decimals, as PBM', () => {
    assert.equal(prettySize(0), '0.00B')
    assert.equal(prettySize(1023), '1023.00B')
    assert.equal(prettySize(1024), '1.00KB')
    assert.equal(prettySize(13_107_200), '12.50MB')
    assert.equal(prettySize(1_288_490_189), '1.20GB')
    assert.equal(prettySize(-1), 'unknown')
  })

  it('prints IEC units with one decimal for the fields that end in _h', () => {
    assert.equal(sizeInIecUnits(0), '0 B')
    assert.equal(sizeInIecUnits(1023), '1023 B')
    assert.equal(sizeInIecUnits(1536), '1.5 KiB')
    assert.equal(sizeInIecUnits(1_288_490_189), '1.2 GiB')
  })
})
