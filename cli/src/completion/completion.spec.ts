import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { buildProgram } from '../program.js'
import { bashCompletion } from './bash.js'
import { fishCompletion } from './fish.js'
import { commandWords, optionWords } from './words.js'
import { zshCompletion } from './zsh.js'

const program = buildProgram(async () => undefined)
const words: Parameters<typeof bashCompletion> = [commandWords(program), optionWords(program)]

/** What bash offers for a line that is typed up to its end. */
function offered(line: string): string[] {
  const script = `
pbm() { printf '%s\\n' 2031-02-03T04:05:06Z 2031-02-04T04:05:06Z; }
${bashCompletion(...words)}
COMP_LINE="$1" COMP_POINT=\${#1}
read -ra COMP_WORDS <<< "\${1//:/ : }"
[[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_pbm
printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script, 'bash', line], { encoding: 'utf8' }).trim().split('\n')
}

describe('shell completion', () => {
  it('completes commands, flags, values of flags and names of backups in bash', () => {
    assert.deepEqual(offered('pbm back'), ['backup'])
    assert.deepEqual(offered('pbm backup --wa'), ['--wait', '--wait-time'])
    assert.deepEqual(offered('pbm list -o js'), ['json', 'json-pretty'])
    assert.deepEqual(offered('pbm -o json describe-r'), ['describe-restore'])
    assert.deepEqual(offered('pbm completion z'), ['zsh'])
    assert.deepEqual(offered('pbm plugin l'), ['list'])
    assert.deepEqual(offered('pbm restore 2031-02-03'), ['2031-02-03T04:05:06Z'])
    assert.deepEqual(offered('pbm restore 2031-02-03T04:0'), ['05:06Z'], 'after a colon only the rest')
  })

  it('names every command and none of the flags that are refused', () => {
    for (const script of [bashCompletion(...words), zshCompletion(...words), fishCompletion(...words)]) {
      for (const { name } of words[0]) assert.ok(script.includes(name), name)
      assert.ok(!script.includes('ns-from'))
    }
  })
})
