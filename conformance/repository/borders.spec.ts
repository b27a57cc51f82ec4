import assert from 'node:assert/strict'
import { BORDERS, CORE_FLOORS, VENDOR_FREE, VENDORS } from './border-rules.js'
import { borderFaults, floorFaults, vendorFaults } from './borders.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'
import { cyclesOf, type ImportGraph, importGraph, importsOf } from './import-graph.js'

describe('borders', () => {
  describe('of this repository', () => {
    let graph: ImportGraph
    before(() => {
      const root = repositoryRoot()
      const files = repositoryFiles(root).filter((path) => path.endsWith('.ts'))
      graph = importGraph(files, (path) => readText(root, path))
      assert.ok(graph.size > 500)
    })

    it('no files import each other in a circle', () => {
      none(cyclesOf(graph).map((cycle) => cycle.join(' → ')))
    })

    it('every arrow between the folders of core points down', () => {
      none(floorFaults(graph, 'core/src', CORE_FLOORS))
    })

    it('every folder that a rule names is there', () => {
      const named = [...CORE_FLOORS.map((floor) => `core/src/${floor}`), ...BORDERS.map(({ folder }) => folder)]
      const files = [...graph.keys()]
      none(named.filter((each) => !files.some((file) => `${file}/`.startsWith(`${each}/`))))
    })

    it('packages import what they may', () => {
      none(borderFaults(graph, BORDERS))
    })

    it('only plugins know vendors', () => {
      none(vendorFaults(graph, VENDOR_FREE, VENDORS))
    })
  })

  it('find every kind of import, and none in strings and comments', () => {
    const source = `
      import 'alone'
      import type { A } from './a.js'
      import { type B, b } from '../b.js'
      export * from './folder/c.js'
      export type { D } from 'd/deep'
      const text = "import { x } from 'text'", template = \`import('template')\` // import './comment.js'
      type E = typeof import('e')
      export const load = async (name: string) => [await import('f'), await import(name), text, template]
      export type Both = E | A | B | typeof b`
    assert.deepEqual(importsOf('core/src/x/here.ts', source).sort(), [
      'alone',
      'core/src/b.ts',
      'core/src/x/a.ts',
      'core/src/x/folder/c.ts',
      'd/deep',
      'e',
      'f',
    ])
    assert.throws(() => importsOf('a.ts', 'import from'), /^Error: a\.ts: /)
  })

  it('name one way around for files that import each other', () => {
    const graph = graphOf({
      'a.ts': ['b.ts'],
      'b.ts': ['c.ts', 'd.ts'],
      'c.ts': ['b.ts'],
      'd.ts': ['yaml'],
      'e.ts': ['e.ts'],
    })
    assert.deepEqual(cyclesOf(graph), [
      ['b.ts', 'c.ts', 'b.ts'],
      ['e.ts', 'e.ts'],
    ])
  })

  it('tell arrows that point up, and files that stand nowhere', () => {
    const graph = graphOf({
      'core/src/errors.ts': ['core/src/oplog/entry.ts'],
      'core/src/oplog/entry.ts': ['core/src/errors.ts', 'core/src/restore/run.ts', 'bson'],
      'core/src/oplog/entry.spec.ts': ['core/src/restore/run.ts'],
      'core/src/oplog/replay/lanes.ts': ['core/src/oplog/entry.ts'],
      'core/src/oplog/other.ts': ['core/src/oplog/replay/lanes.ts'],
      'core/src/restore/run.ts': ['core/src/oplog/replay/lanes.ts'],
      'core/src/attic/old.ts': [],
      'cli/src/main.ts': ['core/src/restore/run.ts'],
    })
    assert.deepEqual(floorFaults(graph, 'core/src', ['errors.ts', 'oplog', 'oplog/replay', 'restore']), [
      'core/src/errors.ts → core/src/oplog/entry.ts: errors.ts may not import oplog: oplog stands above it',
      'core/src/oplog/entry.ts → core/src/restore/run.ts: oplog may not import restore: restore stands above it',
      'core/src/oplog/other.ts → core/src/oplog/replay/lanes.ts: oplog may not import oplog/replay: oplog/replay stands above it',
      'core/src/attic/old.ts: stands on no floor; name its folder in border-rules.ts',
    ])
  })

  it('tell packages that import what they may not', () => {
    const borders = [
      { folder: 'core', may: [], testsMay: ['@pbmkit/conformance/testbed'] },
      { folder: 'plugins', may: ['@pbmkit/core/plugin'] },
      { folder: 'kit/src', may: [] },
      { folder: 'kit/broken', may: ['kit/src'] },
    ]
    const graph = graphOf({
      'core/src/a.ts': ['mongodb', '@pbmkit/conformance/testbed'],
      'core/src/a.e2e.ts': ['@pbmkit/conformance/testbed', 'core/src/a.ts'],
      'plugins/x/src/a.ts': ['@pbmkit/core/plugin', '@pbmkit/core', 'core/src/a.ts', 'pbmkit-storage-webdav'],
      'kit/src/a.ts': ['kit/broken/a.ts'],
      'kit/broken/a.ts': ['kit/src/a.ts'],
      'attic/a.ts': [],
    })
    assert.deepEqual(borderFaults(graph, borders), [
      'core/src/a.ts → @pbmkit/conformance/testbed: core may import nothing of ours',
      'plugins/x/src/a.ts → @pbmkit/core: plugins may import @pbmkit/core/plugin',
      'plugins/x/src/a.ts → core/src/a.ts: plugins may import @pbmkit/core/plugin',
      'plugins/x/src/a.ts → pbmkit-storage-webdav: plugins may import @pbmkit/core/plugin',
      'kit/src/a.ts → kit/broken/a.ts: kit/src may import nothing of ours',
      'attic/a.ts: is behind no border; name its folder in border-rules.ts',
    ])
  })

  it('tell vendors where none is known', () => {
    const graph = graphOf({
      'core/src/a.ts': ['ssh2', 'ssh2-streams', '@azure/identity', 'mongodb'],
      'core/src/a.spec.ts': ['ssh2'],
      'plugins/x/src/a.ts': ['ssh2'],
    })
    assert.deepEqual(vendorFaults(graph, ['core/'], ['ssh2', '@azure/*']), [
      'core/src/a.ts → ssh2: only plugins know vendors',
      'core/src/a.ts → @azure/identity: only plugins know vendors',
    ])
  })
})

function none(faults: readonly string[]): void {
  assert.ok(faults.length === 0, `${faults.length}:\n${faults.join('\n')}`)
}

function graphOf(imports: Readonly<Record<string, readonly string[]>>): ImportGraph {
  return new Map(Object.entries(imports))
}
