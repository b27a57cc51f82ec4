import assert from 'node:assert/strict'
import { stampSeconds } from './commands.js'

describe('The second a command is stamped with', () => {
  const ours = { plugins: { storage: [], compression: [] } }

  it('is the sender’s, whether its clock is ahead of cluster time or a little behind', () => {
    assert.equal(stampSeconds(1_000, 900, [ours]), 1_000)
    assert.equal(stampSeconds(1_000, 1_005, [ours]), 1_000)
  })

  it('is cluster time’s where the sender’s clock is further behind', () => {
    assert.equal(stampSeconds(1_000, 1_006, [ours, ours]), 1_006)
    assert.equal(stampSeconds(1_000, 4_600, []), 4_600)
  })

  it('is never ahead of the sender’s where an agent of PBM’s listens, which would take the command up twice', () => {
    assert.equal(stampSeconds(1_000, 1_030, [{}]), 1_000)
    assert.equal(stampSeconds(1_000, 1_030, [ours, {}]), 1_000)
  })
})
