import assert from 'node:assert/strict'
import { withoutBooleanValues } from './boolean-values.js'
import { buildProgram } from './program.js'

const program = buildProgram(async () => undefined)

describe('flags with true and false', () => {
  const taken: [given: string[], expected: string[]][] = [
    [
      ['backup', '--wait=true', '-w=1'],
      ['backup', '--wait', '-w'],
    ],
    [['backup', '--wait', '--wait=false'], ['backup']],
    [['backup', '-w', '--wait=F'], ['backup']],
    [
      ['restore', '--allow-partly-done=false', '--fallback-enabled=true'],
      ['restore', '--no-allow-partly-done', '--fallback-enabled'],
    ],
    [
      ['backup', '--wait=false', '--wait=T'],
      ['backup', '--wait'],
    ],
    [
      ['list', '--size=5', '-o=json'],
      ['list', '--size=5', '-o=json'],
    ],
    [
      ['config', '--set=pitr.enabled=true'],
      ['config', '--set=pitr.enabled=true'],
    ],
    [
      ['config', '--', '--list=true'],
      ['config', '--', '--list=true'],
    ],
  ]
  for (const [given, expected] of taken)
    it(`reads ${given.join(' ')}`, () => assert.deepEqual(withoutBooleanValues(program, given), expected))

  it('refuses other words', () => {
    assert.throws(() => withoutBooleanValues(program, ['backup', '--wait=maybe']), /--wait: 'maybe' is neither/)
  })
})
