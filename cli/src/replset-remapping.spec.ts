import assert from 'node:assert/strict'
import { parseRemapping } from './replset-remapping.js'

describe('parseRemapping', () => {
  it('reads <here>=<in the backup>', () => {
    assert.deepEqual(parseRemapping('new1=old1, new2=old2', '--x'), { old1: 'new1', old2: 'new2' })
    assert.deepEqual(parseRemapping('', '--x'), {})
    assert.deepEqual(parseRemapping('s1=s2,s2=s1', '--x'), { s2: 's1', s1: 's2' })
  })

  it('refuses what is no pair, and names given twice', () => {
    for (const [text, message] of [
      ['a', /'a' is not/],
      ['a=b=c', /'a=b=c' is not/],
      ['=b', /'=b' is not/],
      ['a=b,c=b', /b of the backup is named twice/],
      ['a=b,a=c', /a of this cluster is named twice/],
    ] as const) {
      assert.throws(() => parseRemapping(text, '--replset-remapping'), { code: 'USAGE', message })
    }
  })
})
