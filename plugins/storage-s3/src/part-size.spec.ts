import assert from 'node:assert/strict'
import fc from 'fast-check'
import { partPlan } from './part-size.js'

const MIB = 1024 ** 2
const GIB = 1024 ** 3

describe('parts of an upload', () => {
  it('have 10 MiB by default, and never under 5', () => {
    assert.equal(partPlan({}, undefined).size(0), 10 * MIB)
    assert.equal(partPlan({ uploadPartSize: 1 }, undefined).size(0), 5 * MIB)
    assert.equal(partPlan({ uploadPartSize: 20 * MIB }, undefined).size(0), 20 * MIB)
  })

  it('grow with a guessed size, by half more than it needs, as those of PBM', () => {
    const size = 200 * GIB
    assert.equal(partPlan({}, size).size(0), Math.floor((Math.floor(size / 10_000) * 15) / 10))
    assert.equal(
      partPlan({ maxUploadParts: 100 }, 10 * GIB).size(0),
      Math.floor((Math.floor((10 * GIB) / 100) * 15) / 10),
    )
    assert.equal(partPlan({}, GIB).size(0), 10 * MIB)
    assert.equal(partPlan({}, Number.MAX_SAFE_INTEGER).size(0), 10 * MIB)
  })

  it('hold any object that is no larger than guessed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 * 1024 ** 4 }),
        fc.integer({ min: 2, max: 20_000 }),
        fc.integer({ min: 0, max: 100 * MIB }),
        (hint, maxUploadParts, uploadPartSize) => {
          const plan = partPlan({ maxUploadParts, uploadPartSize }, hint)
          assert.ok(plan.maxParts <= 10_000)
          let held = 0
          for (let part = 0; part < plan.maxParts; part++) held += plan.size(part)
          assert.ok(held >= hint, `${held} of ${hint} bytes`)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('hold 800 GiB of which nothing was known, the first 48 GiB in equal parts', () => {
    const plan = partPlan({}, undefined)
    const sizes = Array.from({ length: plan.maxParts }, (_, part) => plan.size(part))
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) > 800 * GIB)
    assert.equal(new Set(sizes.slice(0, 5000)).size, 1)
    assert.ok(Math.max(...sizes) <= 5 * GIB)
  })

  it('are sent side by side within 30 MiB, and always at least one', () => {
    const { width } = partPlan({}, undefined)
    assert.equal(width(5 * MIB), 4)
    assert.equal(width(10 * MIB), 3)
    assert.equal(width(15 * MIB), 2)
    assert.equal(width(500 * MIB), 1)
  })
})
