import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { subjectFault, subjectsSinceBase } from './commits.js'
import { repositoryRoot } from './files.js'

describe('subjects of commits', () => {
  it('of this repository are short requests', () => {
    const faults = subjectsSinceBase(repositoryRoot()).flatMap((line) => {
      const subject = line.slice(line.indexOf(' ') + 1)
      const fault = subjectFault(subject)
      return fault === undefined ? [] : [`${line}: ${fault}`]
    })
    assert.ok(faults.length === 0, `${faults.join('\n')}\nMend them by: git rebase -i, reword`)
  })

  it('are found in a shallow clone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pbmkit-shallow-'))
    try {
      execFileSync('git', ['clone', '-q', '--depth', '1', pathToFileURL(repositoryRoot()).href, folder])
      assert.ok(subjectsSinceBase(folder).length <= 1)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  for (const subject of [
    'Add knip',
    'Pass the signal on',
    'Process what is left',
    'Embed the schema of a plugin',
    'Revert "Add knip"',
    'S3: retry what is throttled',
    'x'.repeat(70).replace(/^x/, 'X'),
  ])
    it(`may be: ${subject}`, () => assert.equal(subjectFault(subject), undefined))

  for (const [subject, fault] of [
    [`Add ${'x'.repeat(68)}`, /72 characters/],
    ['feat: retry what is throttled', /label "feat:"/],
    ['S3: retries what is throttled', /"retries"; write/],
    ['pbm --wait ends', /"pbm"; the first word/],
    ['Added a test', /"Added"; write/],
    ['Adds a test', /"Adds"; write/],
    ['Adding a test', /"Adding"; write/],
    ['One way to wait', /"One"; write/],
    ['Add a test.', /full stop/],
    ['', /begins with ""/],
  ] as const)
    it(`may not be: ${subject}`, () => assert.match(subjectFault(subject) ?? '', fault))
})
