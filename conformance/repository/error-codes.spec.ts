import assert from 'node:assert/strict'
import { errorCodesOf } from './error-codes.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

/** Thrown in several packages, and looked at: each means one thing wherever it comes from. */
const SHARED: readonly string[] = [
  'BACKUP_CANCELED',
  'BACKUP_NOT_DONE',
  'BACKUP_NOT_FOUND',
  'BACKUP_RUNNING',
  'ENCRYPTION_OFF',
  'KEYS_DIFFER',
  'NO_AGENT',
  'NO_PRIMARY',
  'OPERATION_RUNNING',
  'PLUGIN_MISSING',
  'RESTORE_TIME',
  'STORAGE_PROBE',
  'TIME_IN_FUTURE',
  'UNREACHABLE',
  'URI_MISSING',
]

describe('codes of errors', () => {
  const root = repositoryRoot()
  const sources = repositoryFiles(root).filter(
    (path) => /^(core|agent|cli|plugins\/[^/]+)\/src\/.*\.ts$/.test(path) && !/\.(spec|e2e)\./.test(path),
  )
  const places = new Map<string, Set<string>>()
  for (const path of sources)
    for (const code of errorCodesOf(readText(root, path)))
      places.set(code, (places.get(code) ?? new Set()).add(path.slice(0, path.indexOf('/src/'))))

  it('are all in docs/troubleshooting.md, once, and no others', () => {
    const headings = [...readText(root, 'docs/troubleshooting.md').matchAll(/^### (\S+)$/gm)].map(([, code]) => code)
    assert.deepEqual(headings.toSorted(), [...places.keys()].sort())
  })

  it('have a text below their heading', () => {
    const empty = readText(root, 'docs/troubleshooting.md')
      .split(/^### /m)
      .slice(1)
      .filter((section) => !/^\S+\n[A-Z`]/.test(section))
    assert.deepEqual(empty, [])
  })

  it('come from one package, unless they were looked at', () => {
    const shared = [...places].filter(([, packages]) => packages.size > 1 && !isOfPlugins(packages))
    assert.deepEqual(shared.map(([code]) => code).sort(), SHARED)
  })

  it('are found in every form', () => {
    const found = (source: string) => [...errorCodesOf(source)]
    assert.deepEqual(found("throw new PbmError(\n isNew ? 'A_B' : 'C', `not 'D'`, { code: 'E_F' })"), [
      'A_B',
      'C',
      'E_F',
    ])
    assert.deepEqual(found("failed('TLS', 'x'); notBegun('REFUSED', y); isFailed('NO'); x.failed('NO')"), [
      'TLS',
      'REFUSED',
    ])
    assert.deepEqual(found("type XCode =\n  | 'A'\n  | 'B'\nconst C_D = 'C_D'; const E = 'F'"), ['A', 'B', 'C_D'])
    assert.deepEqual(found("{ code: 'ENOENT' }; case 'EROFS':"), [])
  })
})

/** The contract's codes are the same for every plugin. */
function isOfPlugins(packages: ReadonlySet<string>): boolean {
  return [...packages].every((name) => name === 'core' || name.startsWith('plugins/'))
}
