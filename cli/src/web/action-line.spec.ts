import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { type Choice, shellLine, wordsOf } from './action-line.js'

describe('the command line of what the page does', () => {
  it('is the one that a person would type', () => {
    const lines: [Choice, string][] = [
      [{ do: 'backup', type: 'logical' }, 'pbm backup'],
      [{ do: 'backup', type: 'physical', profile: 'far' }, 'pbm backup --type=physical --profile=far'],
      [{ do: 'backup', type: 'logical', ns: 'shop.*' }, "pbm backup '--ns=shop.*'"],
      [{ do: 'cancel' }, 'pbm cancel-backup'],
      [{ do: 'schedule', action: 'pause', name: 'nightly' }, 'pbm schedule pause nightly'],
      [{ do: 'verify', backup: '2031-02-03T04:05:06Z' }, 'pbm verify --no-wait 2031-02-03T04:05:06Z'],
      [{ do: 'restore', time: '2031-02-03T04:05:06' }, 'pbm restore --time=2031-02-03T04:05:06'],
      [{ do: 'restore', backup: '2031-02-03T04:05:06Z', ns: '' }, 'pbm restore 2031-02-03T04:05:06Z'],
      [
        { do: 'restore', backup: 'x', ns: 'a.b', keepExisting: true, withoutUsersAndRoles: true },
        'pbm restore --ns=a.b --keep-existing --without-users-and-roles x',
      ],
    ]
    for (const [choice, line] of lines) assert.equal(shellLine(wordsOf(choice)), line)
  })

  it('takes no name for an option', () => {
    assert.deepEqual(wordsOf({ do: 'restore', backup: '--plugin-dir=/tmp' }), ['restore', '--', '--plugin-dir=/tmp'])
    assert.deepEqual(wordsOf({ do: 'schedule', action: 'run', name: '-x' }), ['schedule', 'run', '--', '-x'])
    assert.deepEqual(wordsOf({ do: 'backup', type: 'logical', ns: '--yes' }), ['backup', '--ns=--yes'])
  })

  it('is read by a shell as the words that it is made of', () => {
    const word = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .map((text) => text.replaceAll('\0', ''))
      .filter((text) => text.isWellFormed())
    const odd = ["a'b", '$(touch /tmp/x)', '`id`', 'a\nb', 'a\\b', '\u001b[2J', '"', ';', '!x', '*']
    const words = [...odd, ...fc.sample(word, 400)]
    const script = `pbm() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${shellLine(words)}`
    const read = execFileSync('bash', ['-c', script], { encoding: 'utf8' })
    assert.deepEqual(read.split('\0').slice(0, -1), words)
  })
})
