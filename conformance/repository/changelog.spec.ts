import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from './files.js'

describe('npm run changelog', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pbmkit-changelog-'))
    mkdirSync(join(root, 'changelog.d'))
    write('CHANGELOG.md', '# Changelog\n\n## 0.1.0 (2031-01-01)\n\nThe first.\n')
    write('changelog.d/README.md', 'how to')
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  const write = (path: string, text: string) => writeFileSync(join(root, path), text)
  const changelog = (folder: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(repositoryRoot(), 'scripts', 'changelog.mjs'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, PBMKIT_CHANGELOG_ROOT: folder },
    })

  it('reads the fragments of this repository', () => {
    const { status, stdout, stderr } = changelog(repositoryRoot())
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^## Unreleased\n/)
  })

  it('joins fragments by kind above the last release, and deletes them', () => {
    write('changelog.d/b.fixed.md', 'Two\nlines.\n')
    write('changelog.d/a.fixed.md', 'One.\n')
    write('changelog.d/c.security.md', 'First of all.')
    assert.equal(changelog(root, '0.2.0', '2031-02-03').status, 0)
    assert.equal(
      readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
      '# Changelog\n\n## 0.2.0 (2031-02-03)\n\n### Security\n\n- First of all.\n\n### Fixed\n\n- One.\n- Two\n  lines.\n' +
        '\n## 0.1.0 (2031-01-01)\n\nThe first.\n',
    )
    assert.deepEqual(readdirSync(join(root, 'changelog.d')), ['README.md'])
  })

  it('refuses a release without fragments, and fragments of no kind', () => {
    const none = changelog(root, '0.2.0')
    assert.equal(none.status, 1)
    assert.match(none.stderr, /no fragment/)
    write('changelog.d/a.mended.md', '')
    const misnamed = changelog(root)
    assert.equal(misnamed.status, 1)
    assert.match(misnamed.stderr, /a\.mended\.md: a fragment is named/)
  })
})
