import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** What fish offers; undefined where it is not installed. */
function offeredByFish(line: string): string[] | undefined {
  const script = `
function pbm; printf '%s\\n' 2031-02-03T04:05:06Z 2031-02-04T04:05:06Z; end
${fishCompletion(...words)}
complete -C $argv[1]`
  const said = run('fish', ['--no-config', '-c', script, line])
  return said?.split('\n').map((offer) => offer.split('\t')[0] ?? '')
}

/** The line as an interactive zsh in a pseudo terminal completes it; undefined where there is none. */
function completedByZsh(line: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'pbmkit-zsh-'))
  try {
    writeFileSync(join(folder, '_pbm'), zshCompletion(...words))
    writeFileSync(join(folder, 'pbm'), '#!/bin/sh\necho 2031-02-03T04:05:06Z\n', { mode: 0o755 })
    const script = `
zmodload zsh/zpty
zpty shell "HOME=${folder} PATH=${folder}:$PATH TERM=dumb zsh -f -i"
zpty -w shell "report() { print; print -r \\"line:\\$BUFFER;\\"; }; zle -N report; bindkey @ report"
zpty -w shell "fpath=(${folder} \\$fpath); autoload -Uz compinit; compinit -u -D; PS1='rea''dy> '"
zpty -r -m shell out '*ready> *'
zpty -w -n shell "$1"$'\\t@'
zpty -r -m shell out '*line:*;*'
print -r -- "$out"`
    const said = run('zsh', ['-f', '-c', script, 'zsh', line])
    return said === undefined ? undefined : (/line:(.*?) *;/.exec(said)?.[1] ?? said)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(program: string, args: string[]): string | undefined {
  const { error, stdout } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 })
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined
  return stdout.trim()
}

describe('shell completion', () => {
  it('completes commands, flags, values of flags and names of backups in bash', () => {
    assert.deepEqual(offered('pbm back'), ['backup', 'backup-finish'])
    assert.deepEqual(offered('pbm backup --wa'), ['--wait', '--wait-time'])
    assert.deepEqual(offered('pbm list -o js'), ['json', 'json-pretty'])
    assert.deepEqual(offered('pbm -o json describe-r'), ['describe-restore'])
    assert.deepEqual(offered('pbm completion z'), ['zsh'])
    assert.deepEqual(offered('pbm plugin l'), ['list'])
    assert.deepEqual(offered('pbm restore 2031-02-03'), ['2031-02-03T04:05:06Z'])
    assert.deepEqual(offered('pbm restore 2031-02-03T04:0'), ['05:06Z'], 'after a colon only the rest')
  })

  it('completes the same in fish', function () {
    const offers = offeredByFish('pbm back')
    if (offers === undefined) this.skip()
    assert.deepEqual(offers, ['backup'])
    assert.deepEqual(offeredByFish('pbm backup --wa'), ['--wait', '--wait-time'])
    assert.deepEqual(offeredByFish('pbm list -o '), ['json', 'json-pretty', 'text'])
    assert.deepEqual(offeredByFish('pbm -o json describe-r'), ['describe-restore'])
    assert.deepEqual(offeredByFish('pbm completion z'), ['zsh'])
    assert.deepEqual(offeredByFish('pbm restore 2031-02-03T04:0'), ['2031-02-03T04:05:06Z'])
  })

  it('completes the same in zsh', function () {
    // A shell that loads its whole completion system takes seconds to start.
    const completed = completedByZsh('pbm -o json describe-r')
    if (completed === undefined) this.skip()
    assert.equal(completed, 'pbm -o json describe-restore')
    assert.equal(completedByZsh('pbm restore 2031-02-03'), 'pbm restore 2031-02-03T04:05:06Z')
  })

  it('names every command', () => {
    for (const script of [bashCompletion(...words), zshCompletion(...words), fishCompletion(...words)]) {
      for (const { name } of words[0]) assert.ok(script.includes(name), name)
    }
  })
})
