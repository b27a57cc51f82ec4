import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from './files.js'

const SCRIPT = 'scripts/test-files.mjs'

describe('npm run test:file and test:changed', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pbmkit-test-files-'))
    cpSync(join(repositoryRoot(), SCRIPT), join(root, SCRIPT))
    write('core/tsconfig.json', '{"compilerOptions": {"rootDir": "src", "outDir": "dist"}}')
    write('kit/tsconfig.json', '{"compilerOptions": {"rootDir": ".", "outDir": "dist"}}')
    write('kit/bed/tsconfig.json', '{"compilerOptions": {"rootDir": ".", "outDir": "../dist/bed"}}')
    for (const name of [
      'core/src/a.ts',
      'core/src/a.spec.ts',
      'core/src/b.ts',
      'core/src/b.e2e.ts',
      'core/src/c.spec.ts',
    ])
      write(name, '')
    write('kit/src/d.spec.ts', '')
    write('kit/bed/e.e2e.ts', '')
    write('kit/dist/src/d.spec.js', '')
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  function write(path: string, text: string): void {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), text)
  }

  function list(...args: string[]): string[] {
    const output = execFileSync('node', [SCRIPT, '--list', ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' })
    return output.split('\n').filter((line) => line !== '')
  }

  it('finds what a source is compiled to, in every project', () => {
    const named = ['core/src/a.spec.ts', 'kit/src/d.spec.ts', 'kit/bed/e.e2e.ts', 'kit/dist/src/d.spec.js']
    assert.deepEqual(list(...named, '--grep', 'some test'), [
      'core/dist/a.spec.js',
      'kit/dist/src/d.spec.js',
      'kit/dist/bed/e.e2e.js',
      'kit/dist/src/d.spec.js',
    ])
  })

  it('says what is wrong with a name', () => {
    for (const [args, told] of [
      [[], /name a test/],
      [['core/src/none.spec.ts'], /there is no file core\/src\/none\.spec\.ts/],
    ] as const) {
      const { status, stderr } = spawnSync('node', [SCRIPT, ...args], { cwd: root, encoding: 'utf8' })
      assert.equal(status, 64)
      assert.match(stderr, told)
    }
  })

  it('finds the tests that changed, and those beside what changed', () => {
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], { cwd: root })
    git('init', '-q')
    git('add', '.')
    git('commit', '-qm', 'base')
    git('tag', 'base')
    assert.deepEqual(list('--changed'), [])
    write('core/src/a.ts', 'committed')
    git('commit', '-qam', 'more')
    write('core/src/b.ts', 'in the work tree')
    rmSync(join(root, 'core/src/c.spec.ts'))
    write('kit/src/new.spec.ts', 'not known to git')
    assert.deepEqual(list('--changed'), ['core/dist/b.e2e.js', 'kit/dist/src/new.spec.js'])
    assert.deepEqual(list('--changed', '--base', 'base'), [
      'core/dist/a.spec.js',
      'core/dist/b.e2e.js',
      'kit/dist/src/new.spec.js',
    ])
  })
})
