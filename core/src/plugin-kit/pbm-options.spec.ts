import assert from 'node:assert/strict'
import { durationMs, maxObjectBytesOf } from './pbm-options.js'

describe("options that PBM's storages have in common", () => {
  for (const [value, millis] of [
    ['30ms', 30],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1m30s', 90_000],
    ['1m1.5s', 61_500],
    ['250us', 0.25],
    [30_000_000, 30],
    [0, 77],
    ['0s', 77],
    [undefined, 77],
  ] as const) {
    it(`reads the duration ${JSON.stringify(value)}`, () => assert.equal(durationMs(value, 77), millis))
  }

  it('bounds objects in whole bytes, and not under 1 GiB', () => {
    assert.equal(maxObjectBytesOf(undefined, 5018), 5018 * 1024 ** 3)
    assert.equal(maxObjectBytesOf(0.5, 5018), 5018 * 1024 ** 3)
    assert.equal(maxObjectBytesOf(1.5, 5018), 1.5 * 1024 ** 3)
    assert.equal(maxObjectBytesOf(1.3, 5018), 1_395_864_371)
  })
})
