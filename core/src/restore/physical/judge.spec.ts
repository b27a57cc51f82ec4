import assert from 'node:assert/strict'
import { judge } from './carry-out.js'

describe('the end of a physical restore', () => {
  const nodes = ['a:1', 'b:1', 'c:1']
  const outcome = (...ends: ('done' | 'error' | undefined)[]) =>
    judge(nodes, new Map(nodes.map((node, index) => [node, ends[index]])), undefined)

  it('is done where all are', () => {
    assert.deepEqual(outcome('done', 'done', 'done'), { status: 'done' })
  })

  it('is that of the majority where one has failed, or says nothing', () => {
    assert.deepEqual(outcome('done', 'error', 'done'), { status: 'partlyDone', error: 'not done: b:1' })
    assert.equal(outcome('done', 'done', undefined).status, 'partlyDone')
  })

  it('is the old data where no majority has the new', () => {
    assert.deepEqual(outcome('done', 'error', undefined), { status: 'error', error: 'not done: b:1, c:1' })
    assert.equal(judge(nodes, new Map(), 'the storage is away').error, 'the storage is away')
  })
})
