import assert from 'node:assert/strict'
import { blockPlan, MAX_BLOCKS } from './block-size.js'

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const TIB = 1024 ** 4

function capacity(hint?: number): number {
  const plan = blockPlan(hint)
  let bytes = 0
  for (let block = 0; block < MAX_BLOCKS; block++) bytes += plan.size(block)
  return bytes
}

describe('blocks of an upload', () => {
  it('have 10 MiB where nothing is known, and hold 4 TiB all the same', () => {
    assert.equal(blockPlan(undefined).size(0), 10 * MIB)
    assert.equal(blockPlan(undefined).size(24_999), 10 * MIB)
    assert.ok(capacity() > 4 * TIB)
  })

  for (const hint of [0, 1, 100 * GIB, 489 * GIB, 5 * TIB, 100 * TIB, 190 * TIB]) {
    it(`hold an object of ${hint} bytes that was guessed well, none beyond the limit of the service`, () => {
      assert.ok(capacity(hint) >= hint)
      assert.ok(blockPlan(hint).size(MAX_BLOCKS - 1) <= 4000 * MIB)
    })
  }

  it('are sent side by side within 30 MiB, and always at least one', () => {
    const { width } = blockPlan(undefined)
    assert.equal(width(10 * MIB), 3)
    assert.equal(width(MIB), 4)
    assert.equal(width(GIB), 1)
  })
})
