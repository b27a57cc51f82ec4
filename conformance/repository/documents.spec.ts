import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { anchorsOf, linksOf } from './documents.js'
import { readText, repositoryFiles, repositoryRoot } from './files.js'

describe('documents', () => {
  const root = repositoryRoot()
  const documents = repositoryFiles(root).filter((path) => path.endsWith('.md'))

  it('link only to files and headings that exist', () => {
    const broken = documents.flatMap((path) =>
      linksOf(readText(root, path))
        .filter((link) => {
          const [file = '', anchor] = link.split('#')
          const target = file === '' ? path : join(dirname(path), file)
          if (!existsSync(join(root, target))) return true
          if (anchor === undefined) return false
          return !target.endsWith('.md') || !anchorsOf(readText(root, target)).has(anchor)
        })
        .map((link) => `${path}: ${link}`),
    )
    assert.deepEqual(broken, [])
  })

  it('say where to change what, with paths that exist', () => {
    const paths = [...readText(root, 'docs/where-to-change.md').matchAll(/`([\w-]+\/[\w./-]+)`/g)].map(
      ([, path = '']) => path,
    )
    assert.ok(paths.length > 30)
    const missing = paths.filter(
      (path) => statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() !== path.endsWith('/'),
    )
    assert.deepEqual(missing, [])
  })

  it('name source files of core by paths that exist', () => {
    const paths = [...readText(root, 'docs/architecture.md').matchAll(/`([\w-]+\/[\w./-]+\.ts)`/g)].map(
      ([, path = '']) => path,
    )
    assert.ok(paths.length > 10)
    assert.deepEqual(
      paths.filter((path) => !existsSync(join(root, 'core/src', path))),
      [],
    )
  })

  it('name what is in the code as it is called there', () => {
    const sources = repositoryFiles(root).filter((path) => /\/src\/.*\.ts$/.test(path) && !/\.(spec|e2e)\./.test(path))
    const words = new Set(sources.flatMap((path) => readText(root, path).match(/\w+/g) ?? []))
    for (const document of ['docs/architecture.md', 'docs/where-to-change.md', 'core/README.md']) {
      const named = [...readText(root, document).matchAll(/`([A-Za-z]+[a-z][A-Z]\w*)(?:\.(\w+))?(?:\(.*?\))?`/g)]
      assert.ok(document === 'docs/where-to-change.md' || named.length > 5, document)
      const unknown = named.flatMap(([, ...parts]) => parts).filter((name) => name !== undefined && !words.has(name))
      assert.deepEqual(unknown, [], document)
    }
  })

  it('show every floor of core, in the picture and beside it', () => {
    const isFolder = (path: string) => statSync(join(root, 'core/src', path)).isDirectory()
    const folders = readdirSync(join(root, 'core/src')).filter(isFolder).sort()
    const shown = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, floor]) => floor)
    const inPicture = shown(readText(root, 'docs/floors.svg'), /class="floor"[^>]*>([\w-]+)</g)
    assert.deepEqual(inPicture.toSorted(), folders)
    const architecture = readText(root, 'docs/architecture.md')
    assert.deepEqual(inPicture, shown(architecture, /^\| `([\w-]+)` \| [^`]/gm))
    // Made by scripts/floors-picture.mjs.
    const words = shown(architecture, /^\| `[\w-]+` \| ([^|]+?) \|$/gm).map((text) => text?.replaceAll('`', ''))
    assert.deepEqual(shown(readText(root, 'docs/floors.svg'), /<text x=[^>]*>([^<]+)</g), words)
  })

  it('begin with a README that is read in a few minutes', () => {
    assert.ok(readText(root, 'README.md').split('\n').length <= 120)
  })

  it('have links and anchors as GitHub does', () => {
    assert.deepEqual(linksOf('[a](b.md#c) `[no](x)` [web](https://d)\n```\n[no](y)\n```\n![p](q.svg)'), [
      'b.md#c',
      'q.svg',
    ])
    assert.deepEqual([...anchorsOf('# A b, `c.d`!\n## x\n## x\n```\n# no\n```\n')], ['a-b-cd', 'x', 'x-1'])
  })
})
