import assert from 'node:assert/strict'
import { allowed, judge, unheard } from './carry-out.js'
import { mayBePartlyDone } from './restore.js'

describe('the end of a physical restore', () => {
  const nodes = ['a:1', 'b:1', 'c:1']
  const outcome = (...ends: ('done' | 'error' | undefined)[]) =>
    judge(nodes, new Map(nodes.map((node, index) => [node, ends[index]])), { node: 'a:1', fault: undefined })

  it('is done where all are', () => {
    assert.deepEqual(outcome('done', 'done', 'done'), { status: 'done' })
  })

  it('is that of the majority where one has failed, or says nothing', () => {
    assert.deepEqual(outcome('done', 'error', 'done'), { status: 'partlyDone', error: 'not done: b:1' })
    assert.equal(outcome('done', 'done', undefined).status, 'partlyDone')
  })

  it('is the old data where only a majority has the new, and all are to have them', () => {
    const partly = outcome('done', 'error', 'done')
    assert.deepEqual(allowed(partly, {}), partly)
    assert.deepEqual(allowed(partly, { allowPartlyDone: true }), partly)
    assert.equal(allowed(partly, { allowPartlyDone: false }).status, 'error')
    assert.deepEqual(allowed({ status: 'done' }, { allowPartlyDone: false }), { status: 'done' })
  })

  it('is asked for in the command, else in the configuration', () => {
    const unsaid = { fallbackEnabled: null, allowPartlyDone: null }
    assert.equal(mayBePartlyDone(unsaid, undefined), true)
    assert.equal(mayBePartlyDone(unsaid, { restore: { allowPartlyDone: false } }), false)
    assert.equal(mayBePartlyDone({ ...unsaid, allowPartlyDone: true }, { restore: { allowPartlyDone: false } }), true)
    const off = { restore: { allowPartlyDone: false, fallbackEnabled: false } }
    assert.throws(() => mayBePartlyDone(unsaid, off), { code: 'RESTORE_UNSUPPORTED' })
    assert.equal(mayBePartlyDone({ ...unsaid, fallbackEnabled: true }, off), false)
  })

  it('is the old data where no majority has the new', () => {
    assert.deepEqual(outcome('done', 'error', undefined), { status: 'error', error: 'not done: b:1, c:1' })
    assert.equal(judge(nodes, new Map(), { node: 'a:1', fault: 'the storage is away' }).error, 'the storage is away')
  })

  it('does not count who judges where it has failed, whatever it has said before', () => {
    const all = new Map(nodes.map((node) => [node, 'done' as const]))
    assert.equal(judge(nodes, all, { node: 'a:1', fault: 'no start' }).status, 'partlyDone')
    assert.equal(judge(['a:1'], all, { node: 'a:1', fault: 'no start' }).status, 'error')
  })

  it('does not go back from what a majority writes where the others can not be heard', () => {
    assert.equal(unheard(undefined).status, 'partlyDone')
    assert.deepEqual(unheard('no start'), { status: 'error', error: 'no start' })
  })
})
