import assert from 'node:assert/strict'
import { withoutCandidate } from './without-candidate.js'

describe('where no agent could store the oplog', () => {
  const fit = [
    { rs: 'a', n: 'a:1' },
    { rs: 'b', n: 'b:1' },
    { rs: 'b', n: 'b:2' },
  ]
  const of = (replsets: readonly string[], withBase: readonly string[], refused: readonly string[] = []) =>
    withoutCandidate({ replsets, withBase: new Set(withBase), fit, isRefused: (node) => refused.includes(node) })

  it('is a replica set whose agents are gone, with a backup or without', () => {
    assert.deepEqual(of(['a', 'c'], ['a', 'c']), { unwell: ['c'], added: [] })
    assert.deepEqual(of(['a', 'c'], ['a']), { unwell: ['c'], added: [] })
  })

  it('is a shard that no backup has, once all of its agents have said that they can not', () => {
    assert.deepEqual(of(['b'], [], ['b:1']), { unwell: [], added: [] })
    assert.deepEqual(of(['b'], [], ['b:1', 'b:2']), { unwell: [], added: ['b'] })
  })

  it('is none with a backup where an agent is well, whatever it said before', () => {
    assert.deepEqual(of(['b'], ['b'], ['b:1', 'b:2']), { unwell: [], added: [] })
  })
})
