import assert from 'node:assert/strict'
import { errorCodesOf, withMessages } from './error-codes.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

/** Thrown in several packages, and looked at: each means one thing wherever it comes from. */
const SHARED: readonly string[] = [
  'BACKUP_CANCELED',
  'BACKUP_INCREMENT',
  'BACKUP_NOT_DONE',
  'BACKUP_NOT_FOUND',
  'BACKUP_RUNNING',
  'COMMAND_INVALID',
  'ENCRYPTION_OFF',
  'FILE_UNREADABLE',
  'KEYS_DIFFER',
  'NEEDED_FOR_PITR',
  'NO_AGENTS',
  'NO_CANDIDATE',
  'NO_PRIMARY',
  'OPERATION_GONE',
  'OPERATION_RUNNING',
  'PLUGIN_MISSING',
  'RESTORE_FAILED',
  'RESTORE_TIME',
  'RIGHTS_MISSING',
  'STORAGE_PROBE',
  'TIME_IN_FUTURE',
  'UNREACHABLE',
  'URI_MISSING',
  'USAGE',
]
const PAGE = 'docs/troubleshooting.md'

describe('codes of errors', () => {
  const root = repositoryRoot()
  const sources = repositoryFiles(root).filter(
    (path) => /^(core|agent|cli|plugins\/[^/]+)\/src\/.*\.ts$/.test(path) && !/\.(spec|e2e|support)\./.test(path),
  )
  const places = new Map<string, Set<string>>()
  for (const path of sources)
    for (const code of errorCodesOf(readText(root, path)).keys())
      places.set(code, (places.get(code) ?? new Set()).add(path.slice(0, path.indexOf('/src/'))))

  it('are all in docs/troubleshooting.md, once, and no others', () => {
    const headings = [...readText(root, PAGE).matchAll(/^### (\S+)$/gm)].map(([, code]) => code)
    assert.deepEqual(headings.toSorted(), [...places.keys()].sort())
  })

  it('have a text below their heading', () => {
    const empty = readText(root, PAGE)
      .split(/^### /m)
      .slice(1)
      .filter((section) => !/^\S+\n[A-Z`]/.test(section))
    assert.deepEqual(empty, [])
  })

  it('come from one package, unless they were looked at', () => {
    const shared = [...places].filter(([, packages]) => packages.size > 1 && !isOfPlugins(packages))
    assert.deepEqual(shared.map(([code]) => code).sort(), SHARED)
  })

  it('are found in every form, with their messages', () => {
    const found = (source: string) => [...errorCodesOf(source)].map(([code, messages]) => [code, ...messages])
    const hole = ['$', '{y(`a,$', '{b}`)}'].join('')
    assert.deepEqual(
      found(`throw new PbmError(\n isNew ? 'A_B' : 'C',\n \`it is no "x" for ${hole}, at all\`, { code: 'E_F' })`),
      [['A_B', 'it is no "x" for …, at all'], ['C', 'it is no "x" for …, at all'], ['E_F']],
    )
    assert.deepEqual(found("{ code: 'TLS', what: 'the certificate is old', hint }"), [
      ['TLS', 'the certificate is old'],
    ])
    assert.deepEqual(found("failed('TLS', is ? 'one long text' : 'another text'); isFailed('NO'); x.failed('NO')"), [
      ['TLS', 'one long text', 'another text'],
    ])
    assert.deepEqual(found("type XCode =\n  | 'A'\n  | 'B'\nconst C_D = 'C_D'; const E = 'F'"), [['A'], ['B'], ['C_D']])
    assert.deepEqual(found("{ code: 'ENOENT' }; case 'EROFS':"), [])
  })

  it('are written into the page with their messages, and nothing else is changed', () => {
    const messages = new Map([['A', new Set(['b …', 'a `c`'])]])
    const page = '# T\n\n## One\n\n### A\nText.\n\n- `old`\n\n### B\nText.\n\n## Two\n\n### C\nText.\n'
    const written = "# T\n\n## One\n\n### A\nText.\n\n- `a 'c'`\n- `b …`\n\n### B\nText.\n\n## Two\n\n### C\nText.\n"
    assert.equal(withMessages(page, messages), written)
    assert.equal(withMessages(written, messages), written)
  })
})

/** The contract's codes are the same for every plugin. */
function isOfPlugins(packages: ReadonlySet<string>): boolean {
  return [...packages].every((name) => name === 'core' || name.startsWith('plugins/'))
}
